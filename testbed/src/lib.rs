//! Starts the real servers and the load, for the demo, the tests and the benches. Never shipped.
//!
//! ```text
//! Shop (traffic simulator) <── scrapes ── Prometheus ── alerts ──> Alertmanager ── webhook ──> Receiver
//! ```
//!
//! With feature `kafka` there is a Kafka cluster too, with clients that load it: see `kafka`.
//!
//! Every server listens on a free port of the loopback interface, keeps its files in a temporary directory of its own,
//! is waited for by a condition with a deadline, and is stopped by its process id when its value is dropped.
//!
//! Binaries come from `PROMETHEUS`, `ALERTMANAGER`, `PROMTOOL`, `AMTOOL` and `JAVA` when set, else from `PATH`.

pub mod alertmanager;
pub mod bed;
pub mod demo;
pub mod files;
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod process;
pub mod programs;
pub mod prometheus;
pub mod proof;
#[cfg(feature = "kafka")]
pub mod quota;
pub mod receiver;
pub mod shop;
pub mod wait;

pub use alertmanager::Alertmanager;
pub use bed::Bed;
pub use prometheus::{Prometheus, Sample, Target};
pub use receiver::{Notification, Receiver};
pub use shop::Shop;
