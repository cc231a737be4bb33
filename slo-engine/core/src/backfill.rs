//! The past of an SLO: what its lean rules would have recorded, had they run all along.
//!
//! [`Blueprint`] takes queries, names and labels from the very rules that `generate` writes, so that the two cannot
//! drift apart. The caller runs its two queries over a [`Grid`] of evaluation times; [`History`] counts the answers as
//! the `tally` rule does and gives every record's samples.
//!
//! ```text
//! lean::rules ──> Blueprint ──> total and error query ──(range API)──> increases ──> History ──> samples
//! ```

mod blueprint;
mod history;

pub use blueprint::{Blueprint, NotBackfillable, Record};
pub use history::{Grid, History};

#[cfg(test)]
mod tests;
