//! A Prometheus, and brokers' exporters whose pages a test writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use daemon_kit::clock::SystemClock;
use daemon_kit::source::Source;
use testbed::http::{HttpServer, Reply};
pub(super) use testbed::wait::LIMIT;
use testbed::{Prometheus as Server, Target, wait};

use super::super::Prometheus;
use crate::ports::{Metrics as _, Observed};
use crate::spec::{self, Settings};

/// An exporter: what it answers, or nothing, which is an error of the server.
pub(super) struct Exporter {
    page: Arc<Mutex<Option<String>>>,
    server: HttpServer,
}

impl Exporter {
    pub(super) async fn start(page: &str) -> Self {
        let page = Arc::new(Mutex::new(Some(page.to_owned())));
        let shown = Arc::clone(&page);
        let server = HttpServer::start(move |_| match shown.lock().unwrap().clone() {
            Some(page) => Reply::metrics(page),
            None => Reply::text(reqwest::StatusCode::INTERNAL_SERVER_ERROR, "down"),
        });
        Self { page, server: server.await.unwrap() }
    }

    pub(super) fn show(&self, page: Option<&str>) {
        *self.page.lock().unwrap() = page.map(str::to_owned);
    }

    pub(super) fn target(&self, labels: &[(&str, &str)]) -> Target {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Target { job: "kafka".to_owned(), address: self.server.address(), labels: labels.collect() }
    }
}

/// A broker's page: that the JVM was read, and lines.
pub(super) fn page(lines: &[&str]) -> String {
    format!("jmx_scrape_error 0\n{}\n", lines.join("\n"))
}

/// A sensor's line.
pub(super) fn produce(labels: &str, rate: f64) -> String {
    format!("kafka_server_quota_byte_rate{{resource=\"Produce\",{labels}}} {rate}")
}

/// Settings with these rules; `more` goes before them.
pub(super) fn settings(url: &str, more: &str, rules: &str) -> Settings {
    let text = format!(
        "kafka: {{bootstrap.servers: a}}\nprometheus: {{url: \"{url}\", timeout: 20s}}\n\
         evidence: {{scrape_interval: 1s}}\n{more}\nrules:\n{rules}"
    );
    spec::load(&Source::new("x", text)).unwrap_or_else(|errors| panic!("{errors:#?}")).0
}

/// A rule on produced bytes.
pub(super) fn rule(name: &str, rest: &str) -> String {
    let select = if rest.contains("entity: client-id") { "client_ids" } else { "users" };
    format!(
        "  - {{name: {name}, select: {{{select}: [\"*\"]}}, measure: produce, limit: 20MB/s per broker, {rest}}}\n"
    )
}

pub(super) fn adapter(settings: &Settings) -> Prometheus {
    Prometheus::new(settings, Arc::new(SystemClock::new())).unwrap()
}

pub(super) async fn server(targets: Vec<Target>) -> Server {
    Server::builder().targets(targets).start().await.unwrap()
}

/// Observes until it shows what is waited for; the last observation.
pub(super) async fn observe_until(
    what: &str,
    adapter: &Prometheus,
    settings: &Settings,
    seen: impl Fn(&Observed) -> bool,
) -> Observed {
    wait::until(what, LIMIT, || async {
        let observed = adapter.observe(&settings.policy, LIMIT).await;
        Ok(seen(&observed).then_some(observed))
    })
    .await
    .unwrap()
}

/// Rates of a key's readings by broker and names.
pub(super) fn rates(observed: &Observed) -> BTreeMap<(i32, String), f64> {
    let usage = observed.usage.values().flat_map(|usage| &usage.readings);
    usage
        .map(|reading| {
            let part = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
            let client = format!("{}/{}", part(&reading.client.user), part(&reading.client.client_id));
            ((reading.broker, client), reading.rate)
        })
        .collect()
}
