//! Client of the Prometheus HTTP API, for any server that speaks it (Prometheus, Thanos, Mimir, VictoriaMetrics).
//!
//! - Queries go out as POST forms, so that a long query is never cut by a URL limit; where a proxy refuses POST, as GET.
//! - Every answer is bounded in time and size; sample values are numbers (`NaN` and `+Inf` included), times are
//!   milliseconds since 1970.
//! - Connection failures, 429 and 5xx are tried again with jitter, a bounded number of times. A query that the server
//!   refused or gave up on is not: it would only cost the same again.
//! - Passwords, tokens and header values never reach a log line, an error or `Debug`.
//!
//! ```no_run
//! # async fn run() -> Result<(), daemon_kit::prom::Error> {
//! use daemon_kit::prom::{Client, Options};
//! let client = Client::new(Options::new("http://127.0.0.1:9090"))?;
//! let answer = client.instant("up == 0", None).await?;
//! for series in &answer.value {
//!     println!("{:?}", series.labels);
//! }
//! # Ok(()) }
//! ```

mod answer;
mod client;
mod decode;
mod error;
mod options;
mod retry;

pub use answer::{Answer, Labels, Sample, Series};
pub use client::Client;
pub use error::Error;
pub use options::{Auth, Options, Secret};
pub use retry::Retries;

#[cfg(test)]
mod tests;
