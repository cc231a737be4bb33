//! Everything that the story needs, started and stopped together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::config::{self, Rule};
use crate::alertmanager::compressed;
use crate::files;
use crate::http::Client;
use crate::kafka::load::{Exposition, Producer, ProducerOptions};
use crate::kafka::{Cluster, ENFORCER, Listener};
use crate::process::{Server, free_address};
use crate::prometheus::Target;
use crate::{Alertmanager, Prometheus, Receiver};

/// Tenants that behave.
const TENANTS: [&str; 3] = ["alice", "bob", "carol"];
/// The one that does not.
pub(super) const WILD: &str = "mallory";
/// Bytes a second of a tenant that behaves.
pub(super) const NORMAL: u32 = 60_000;

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The enforcer's binary.
    pub program: PathBuf,
    /// Rule files for Prometheus.
    pub rules: Vec<PathBuf>,
    /// Alertmanager's configuration.
    pub alertmanager: String,
    /// Scrape interval.
    pub scrape: Duration,
    /// The enforcer's rule.
    pub rule: Rule,
    /// Connections of the wild tenant.
    pub connections: usize,
}

/// The running stage.
#[derive(Debug)]
pub struct Stage {
    /// The enforcer.
    pub enforcer: Server,
    /// Evaluates the rules.
    pub prometheus: Prometheus,
    /// Gets the alerts.
    pub alertmanager: Alertmanager,
    /// Gets the notifications.
    pub receiver: Receiver,
    /// Tenants that behave.
    pub tenants: Vec<Producer>,
    /// The one that does not.
    pub wild: Producer,
    _exposition: Exposition,
    program: PathBuf,
    config: PathBuf,
    api: Client,
    folder: TempDir,
}

impl Stage {
    /// Starts it on a cluster.
    ///
    /// # Errors
    /// When something does not become ready.
    pub async fn start(cluster: &Cluster, options: &Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("testbed-quota-").tempdir().context("make a folder")?;
        let mut tenants = Vec::new();
        for user in TENANTS {
            tenants.push(producer(cluster, user, 1).await?);
        }
        let wild = producer(cluster, WILD, options.connections).await?;
        let shown: Vec<&Producer> = tenants.iter().chain([&wild]).collect();
        let exposition = Exposition::start(&shown).await?;

        let receiver = Receiver::start().await?;
        let alertmanager = Alertmanager::start(&compressed(&options.alertmanager, &receiver)).await?;
        let admin = free_address()?;
        let own = Target { job: "quota-enforcer".to_owned(), address: admin, labels: BTreeMap::new() };
        let mut prometheus = Prometheus::builder()
            .scrape_interval(options.scrape)
            .evaluation_interval(options.scrape)
            .targets(cluster.metrics_targets())
            .targets([exposition.target("clients"), own])
            .alertmanager(alertmanager.address());
        for file in &options.rules {
            prometheus = prometheus.rules(std::path::absolute(file)?);
        }
        let prometheus = prometheus.start().await?;

        let token = folder.path().join("token");
        files::write(&token, "stage-token\n")?;
        let config = folder.path().join("quota-enforcer.yaml");
        let kafka = cluster.client_properties(Listener::SaslPlaintext, ENFORCER);
        let text = config::text(&kafka, &prometheus.url(), admin, &token, options.scrape, &options.rule);
        files::write(&config, &text)?;
        let program = std::path::absolute(&options.program)?;
        let enforcer = start(&program, folder.path(), &config, admin).await?;
        Ok(Self {
            enforcer,
            prometheus,
            alertmanager,
            receiver,
            tenants,
            wild,
            _exposition: exposition,
            program,
            config,
            api: Client::new(admin)?,
            folder,
        })
    }

    /// `GET /api/v1/status`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<Value> {
        self.api.get("/api/v1/status", &[]).await
    }

    /// The one hold of a throttle, while there is one.
    ///
    /// # Errors
    /// When the enforcer does not answer.
    pub async fn hold(&self) -> Result<Option<Value>> {
        let status = self.status().await?;
        let holds = status.get("holds").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(holds.into_iter().find(|hold| hold.get("purpose").and_then(Value::as_str) == Some("throttle")))
    }

    /// Runs a command of the enforcer with the stage's configuration and token: exit code, standard output and error.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn command(&self, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
        let output = Command::new(&self.program)
            .args(arguments)
            .arg("--config")
            .arg(&self.config)
            .output()
            .with_context(|| format!("run {}", self.program.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    }

    /// The folder of the enforcer's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

async fn start(program: &Path, folder: &Path, config: &Path, admin: SocketAddr) -> Result<Server> {
    let arguments =
        |_: SocketAddr| vec!["run".to_owned(), "--config".to_owned(), config.display().to_string()];
    Server::start("quota-enforcer", program, folder, Some(admin.port()), "/ready", arguments).await
}

/// A producer in the place of one that ended.
pub(super) async fn idle(cluster: &Cluster, user: &str) -> Result<Producer> {
    let producer = producer(cluster, user, 1).await?;
    producer.set_rate(0);
    Ok(producer)
}

async fn producer(cluster: &Cluster, user: &str, connections: usize) -> Result<Producer> {
    let topic = format!("{user}.orders");
    cluster.create_topic(&topic, 3, 3, &[("min.insync.replicas", "2")]).await?;
    let mut properties = cluster.client_properties(Listener::SaslPlaintext, user);
    // Requests as small as the burst in the rule says.
    properties.insert("batch.size".to_owned(), "65536".to_owned());
    let client_id = format!("{user}-orders");
    let options =
        ProducerOptions { rate: NORMAL, connections, ..ProducerOptions::new(properties, &client_id, &topic) };
    Producer::start(options)
}
