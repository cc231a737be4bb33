//! One file per command: `Args` (its flags) and `run(args, io)`.

pub mod backfill;
pub mod completions;
pub mod diff;
pub mod explain;
pub mod generate;
pub mod man;
pub mod schema;
pub mod validate;
pub mod version;
