//! What an SLO is and which rules follow from it.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no async (the manifest is the proof).
//!
//! ```text
//! Slo + Catalogue ──> profile::sloth ─┐
//!                 └─> profile::lean  ─┴─> Vec<RuleGroup>   (written out by the daemon crate)
//! Slo ──> check ──> Vec<Finding>      (the daemon crate turns a Field into file:line:column)
//! ```

pub mod backfill;
pub mod check;
pub mod diff;
pub mod duration;
pub mod explain;
pub mod finding;
pub mod number;
pub mod profile;
pub mod promql;
pub mod rule;
pub mod slo;
pub mod template;
pub mod window;

pub use check::{CheckOptions, Profile, PromqlCheck, check};
pub use duration::PromDuration;
pub use finding::{Field, Finding, Severity, Tier};
pub use rule::{Rule, RuleGroup, RuleKind};
pub use slo::{AlertMeta, NoData, OwnKeys, Query, Sli, Slo, SpecKind};
pub use window::{AlertWindow, Catalogue, PeriodError, PeriodWindows, WindowError, WindowPair};
