//! Runtime of a small daemon. Knows no domain word: two daemons must need a thing before it comes here.
//!
//! - [`yaml`]: YAML as a tree in which every node knows its place, within a budget.
//! - [`diagnostic`]: what is wrong, where, and what would be right; for people, scripts and pull requests.
//! - [`config`]: a daemon's own configuration, read strictly.
//! - [`args`], [`telemetry`]: flags that every daemon has, and logging.
//! - `prom` (feature `prom`): client of the Prometheus HTTP API.

pub mod args;
pub mod config;
pub mod diagnostic;
#[cfg(feature = "prom")]
pub mod prom;
pub mod source;
pub mod telemetry;
pub mod yaml;
