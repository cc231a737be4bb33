//! Producers as a Prometheus target.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;

use super::Producer;
use super::producer::Shared;
use crate::http::{HttpServer, Reply};
use crate::prometheus::Target;

const HEAD: &str = "\
# HELP client_produce_latency_seconds Time from hand-over to the client library to acknowledgement.
# TYPE client_produce_latency_seconds histogram
# HELP client_produce_records_total Records acknowledged or given up.
# TYPE client_produce_records_total counter
# HELP client_produce_bytes_total Bytes of acknowledged records.
# TYPE client_produce_bytes_total counter
# HELP client_produce_blocked_total Times a full buffer made the client wait.
# TYPE client_produce_blocked_total counter
";

/// A server of the producers' own metrics, with labels `user`, `client_id` and `topic`:
/// `client_produce_latency_seconds` (histogram), `client_produce_records_total{outcome="acknowledged"|"failed"}`,
/// `client_produce_bytes_total`, `client_produce_blocked_total`. It goes on showing a producer that was stopped.
#[derive(Debug)]
pub struct Exposition {
    server: HttpServer,
}

impl Exposition {
    /// Shows these on a free loopback port, at any path.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(producers: &[&Producer]) -> Result<Self> {
        let shown: Vec<Arc<Shared>> = producers.iter().map(|producer| producer.shared()).collect();
        let server = HttpServer::start(move |_| Reply::metrics(expose(&shown))).await?;
        Ok(Self { server })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The target for Prometheus.
    #[must_use]
    pub fn target(&self, job: &str) -> Target {
        Target { job: job.to_owned(), address: self.address(), labels: BTreeMap::new() }
    }
}

fn expose(producers: &[Arc<Shared>]) -> String {
    let mut text = HEAD.to_owned();
    for producer in producers {
        let labels = format!(
            "user={:?},client_id={:?},topic={:?}",
            producer.user, producer.options.client_id, producer.options.topic
        );
        producer.tally().expose(&labels, &mut text);
    }
    text
}
