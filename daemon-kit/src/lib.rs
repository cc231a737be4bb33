//! What small daemons have in common, so that reading one teaches the others. Knows no domain word.
//!
//! - [`yaml`]: YAML as a tree in which every node knows its place, within a budget.
//! - [`diagnostic`]: what is wrong, where, and what would be right; for people, scripts and pull requests.
//! - [`config`]: a daemon's own configuration, read strictly.
//! - [`args`], [`telemetry`]: flags that every daemon has, and logging.
//! - `cli` (feature `cli`): exit codes, completions and manual pages.
//! - `prom` (feature `prom`): client of the Prometheus HTTP API.
//! - `runtime` (feature `runtime`): a process that runs for months. It wires `admin` (probes, metrics, reload, the daemon's
//!   own API), `ready`, `reload`, `tasks`, `shutdown`, `systemd`, `metrics`; `clock` makes time an argument, `testing` has
//!   one that stands still.

#[cfg(feature = "runtime")]
pub mod admin;
pub mod args;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "runtime")]
pub mod clock;
pub mod config;
pub mod diagnostic;
#[cfg(feature = "runtime")]
pub mod metrics;
#[cfg(feature = "prom")]
pub mod prom;
#[cfg(feature = "runtime")]
pub mod ready;
#[cfg(feature = "runtime")]
pub mod reload;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(feature = "runtime")]
pub mod shutdown;
pub mod source;
#[cfg(feature = "runtime")]
pub mod systemd;
#[cfg(feature = "runtime")]
pub mod tasks;
pub mod telemetry;
#[cfg(feature = "runtime")]
pub mod testing;
pub mod yaml;
