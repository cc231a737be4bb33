//! Measures the generated rules on the real programs: what they cost, whether both profiles page alike, and how far each
//! window is from the truth.
//!
//! ```text
//! traffic (simulated events) ──scrapes──> promtool test rules <──rules── both profiles
//!    │                                          │ failing expectations print what was recorded
//!    └──────────── truth ──────> accuracy, equivalence ──> tables in docs/
//! history (OpenMetrics) ──> promtool blocks ──> Prometheus + live exporter ──> rule cost ──> table in docs/
//! ```

pub mod accuracy;
pub mod equivalence;
pub mod history;
pub mod incident;
pub mod promtool;
pub mod report;
pub mod rule_cost;
pub mod stopped;
pub mod subject;
pub mod traffic;
