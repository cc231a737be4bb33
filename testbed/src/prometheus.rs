//! A real Prometheus.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::files::write;
use crate::http::Client;
use crate::process::Server;
use crate::programs;
use crate::wait;

/// One thing to scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `job` label.
    pub job: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Further labels; `__metrics_path__` chooses a path other than `/metrics`.
    pub labels: BTreeMap<String, String>,
}

/// One series of an instant query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels, `__name__` included.
    pub labels: BTreeMap<String, String>,
    /// Value; NaN and infinities included.
    pub value: f64,
}

/// What the server is started with.
#[derive(Clone, Debug)]
pub struct Builder {
    program: Option<PathBuf>,
    scrape_interval: Duration,
    evaluation_interval: Duration,
    targets: Vec<Target>,
    rules: Vec<PathBuf>,
    alertmanagers: Vec<SocketAddr>,
    flags: Vec<String>,
    data: Option<PathBuf>,
    port: Option<u16>,
}

impl Builder {
    /// This binary instead of the one that the environment names.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// How often targets are scraped (default 1 s).
    #[must_use]
    pub const fn scrape_interval(mut self, interval: Duration) -> Self {
        self.scrape_interval = interval;
        self
    }

    /// How often groups without an interval of their own are evaluated (default 1 s).
    #[must_use]
    pub const fn evaluation_interval(mut self, interval: Duration) -> Self {
        self.evaluation_interval = interval;
        self
    }

    /// Scrapes these too.
    #[must_use]
    pub fn targets(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.targets.extend(targets);
        self
    }

    /// Evaluates this rule file (or pattern) too.
    #[must_use]
    pub fn rules(mut self, file: impl Into<PathBuf>) -> Self {
        self.rules.push(file.into());
        self
    }

    /// Sends alerts there too.
    #[must_use]
    pub fn alertmanager(mut self, address: SocketAddr) -> Self {
        self.alertmanagers.push(address);
        self
    }

    /// A further command-line flag.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Keeps its blocks here instead of in its own temporary directory, so that they outlive it.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Listens on this port instead of a free one.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When there is no binary, a rule file is wrong, or it is not ready in time.
    pub async fn start(self) -> Result<Prometheus> {
        let folder =
            tempfile::Builder::new().prefix("testbed-prometheus-").tempdir().context("make a folder")?;
        let program = self.program.clone().map_or_else(programs::prometheus, Ok)?;
        let config = folder.path().join("prometheus.yml");
        // JSON is YAML, and needs no quoting rules of ours.
        let text = format!("# written by the testbed\n{:#}\n", self.config()?);
        write(&config, &text)?;
        let data = self.data.clone().unwrap_or_else(|| folder.path().join("data"));
        let arguments = |address: SocketAddr| {
            let mut arguments = vec![
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={}", data.display()),
                format!("--web.listen-address={address}"),
                "--web.enable-lifecycle".to_owned(),
            ];
            arguments.extend(self.flags.iter().cloned());
            arguments
        };
        let server =
            Server::start("prometheus", &program, folder.path(), self.port, "/-/ready", arguments).await?;
        let client = Client::new(server.address())?;
        Ok(Prometheus { server, client, config, folder })
    }

    fn config(&self) -> Result<Value> {
        let mut rules = Vec::new();
        for file in &self.rules {
            rules.push(std::path::absolute(file).with_context(|| format!("resolve {}", file.display()))?);
        }
        let mut jobs: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for target in &self.targets {
            let entry = json!({"targets": [target.address.to_string()], "labels": target.labels});
            jobs.entry(&target.job).or_default().push(entry);
        }
        let jobs: Vec<Value> = jobs
            .into_iter()
            .map(|(job, targets)| json!({"job_name": job, "static_configs": targets}))
            .collect();
        let alertmanagers: Vec<String> = self.alertmanagers.iter().map(ToString::to_string).collect();
        Ok(json!({
            "global": {
                "scrape_interval": millis(self.scrape_interval),
                "scrape_timeout": millis(self.scrape_interval.min(Duration::from_secs(10))),
                "evaluation_interval": millis(self.evaluation_interval),
            },
            "rule_files": rules,
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": alertmanagers}]}]},
            "scrape_configs": jobs,
        }))
    }
}

fn millis(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    server: Server,
    client: Client,
    config: PathBuf,
    folder: TempDir,
}

impl Prometheus {
    /// What to start.
    #[must_use]
    pub const fn builder() -> Builder {
        Builder {
            program: None,
            scrape_interval: Duration::from_secs(1),
            evaluation_interval: Duration::from_secs(1),
            targets: Vec::new(),
            rules: Vec::new(),
            alertmanagers: Vec::new(),
            flags: Vec::new(),
            data: None,
            port: None,
        }
    }

    /// Its address as a URL without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its temporary directory (configuration, log, and blocks unless [`Builder::data`] said otherwise).
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The process.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// A client for the parts of its API that have no method here.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// An instant query's answer at the present time, as a vector (a scalar is one sample without labels).
    ///
    /// # Errors
    /// When the query is wrong or the server does not answer.
    pub async fn query(&self, query: &str) -> Result<Vec<Sample>> {
        let answer = self.client.get("/api/v1/query", &[("query", query)]).await?;
        samples(&answer).with_context(|| format!("read the answer to {query}: {answer}"))
    }

    /// The value of a query that yields at most one series.
    ///
    /// # Errors
    /// As for [`Prometheus::query`], and when there are several.
    pub async fn value(&self, query: &str) -> Result<Option<f64>> {
        match self.query(query).await?.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.value)),
            many => bail!("{query} yields {} series", many.len()),
        }
    }

    /// Every rule as `/api/v1/rules` shows it (`name`, `type`, `health`, `lastError`, `state`, …), with its group's name
    /// as `group`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn rules(&self) -> Result<Vec<Value>> {
        let answer = self.client.get("/api/v1/rules", &[]).await?;
        let groups = answer.pointer("/data/groups").and_then(Value::as_array).context("no groups")?;
        let mut rules = Vec::new();
        for group in groups {
            for rule in group.get("rules").and_then(Value::as_array).into_iter().flatten() {
                let mut rule = rule.clone();
                if let Some(rule) = rule.as_object_mut() {
                    rule.insert("group".to_owned(), group.get("name").cloned().unwrap_or_default());
                }
                rules.push(rule);
            }
        }
        Ok(rules)
    }

    /// Waits until every rule was evaluated, and hands back one message for each that is in error.
    ///
    /// # Errors
    /// When some rule is still not evaluated at the deadline.
    pub async fn evaluated(&self, limit: Duration) -> Result<Vec<String>> {
        wait::until("every rule to be evaluated", limit, || async {
            let rules = self.rules().await?;
            let health =
                |rule: &Value| rule.get("health").and_then(Value::as_str).unwrap_or_default().to_owned();
            if rules.is_empty() || rules.iter().any(|rule| health(rule) == "unknown") {
                return Ok(None);
            }
            let broken = rules.iter().filter(|rule| health(rule) != "ok");
            Ok(Some(
                broken
                    .map(|rule| format!("{} in {}: {}", rule["name"], rule["group"], rule["lastError"]))
                    .collect(),
            ))
        })
        .await
    }

    /// Reads its configuration and rules again.
    ///
    /// # Errors
    /// When they are wrong; the server goes on with the old ones.
    pub async fn reload(&self) -> Result<()> {
        self.client.post("/-/reload", &Value::Null).await.map(drop)
    }

    /// Stops it now instead of when it is dropped; its folder stays until then.
    pub fn stop(&mut self) {
        self.server.stop();
    }
}

fn samples(answer: &Value) -> Result<Vec<Sample>> {
    let number = |pair: &Value| -> Result<f64> {
        let text = pair.get(1).and_then(Value::as_str).context("a sample has no value")?;
        // Prometheus writes NaN, +Inf and -Inf, all of which Rust reads.
        text.parse().with_context(|| format!("no number: {text}"))
    };
    let data = answer.get("data").context("no data")?;
    let result = data.get("result").context("no result")?;
    match data.get("resultType").and_then(Value::as_str) {
        Some("vector") => {}
        Some("scalar") => return Ok(vec![Sample { labels: BTreeMap::new(), value: number(result)? }]),
        other => bail!("unexpected result type {other:?}"),
    }
    let mut samples = Vec::new();
    for series in result.as_array().context("no list of series")? {
        let labels = serde_json::from_value(series.get("metric").cloned().unwrap_or_default())?;
        samples
            .push(Sample { labels, value: number(series.get("value").context("a series has no value")?)? });
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_vectors_with_nan_and_infinities() {
        let answer = json!({"data": {"resultType": "vector", "result": [
            {"metric": {"a": "b"}, "value": [1.5, "NaN"]},
            {"metric": {}, "value": [1.5, "+Inf"]},
        ]}});
        let read = samples(&answer).unwrap();
        assert!(read[0].value.is_nan() && read[0].labels["a"] == "b");
        assert!(read[1].value.is_infinite());
    }
}
