//! Everything that the story needs, started and stopped together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::config::{self, Rule};
use super::enforcer::Enforcer;
use crate::alertmanager::compressed;
use crate::files;
use crate::kafka::load::{Exposition, Producer, ProducerOptions};
use crate::kafka::{Cluster, ENFORCER, Grant, Listener, Operation, Resource, password};
use crate::prometheus::Target;
use crate::{Alertmanager, Prometheus, Receiver};

/// Tenants that behave.
const TENANTS: [&str; 3] = ["alice", "bob", "carol"];
/// The one that does not.
pub(super) const WILD: &str = "mallory";
/// Bytes a second of a tenant that behaves.
pub(super) const NORMAL: u32 = 60_000;
/// Bytes of a record: what a broker does for a request costs more than the bytes in it, and the machine is small.
const RECORD: usize = 12_000;

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
    pub enforcer: Enforcer,
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
    kafka: BTreeMap<String, String>,
    scrape: Duration,
    folder: TempDir,
}

impl Stage {
    /// Starts it on a cluster.
    ///
    /// # Errors
    /// When something does not become ready.
    pub async fn start(cluster: &Cluster, options: &Options) -> Result<Self> {
        cluster.grant(&permissions()).await?;
        let folder = tempfile::Builder::new().prefix("testbed-quota-").tempdir().context("make a folder")?;
        let batch = options.rule.burst.1 / 2;
        let mut tenants = Vec::new();
        for user in TENANTS {
            tenants.push(producer(cluster, user, 1, batch).await?);
        }
        let wild = producer(cluster, WILD, options.connections, batch).await?;
        let shown: Vec<&Producer> = tenants.iter().chain([&wild]).collect();
        let exposition = Exposition::start(&shown).await?;

        let receiver = Receiver::start().await?;
        let alertmanager = Alertmanager::start(&compressed(&options.alertmanager, &receiver)).await?;
        let enforcer = Enforcer::new(&options.program, folder.path().join("enforcer"))?;
        let own =
            Target { job: "quota-enforcer".to_owned(), address: enforcer.address(), labels: BTreeMap::new() };
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
        let mut stage = Self {
            enforcer,
            prometheus,
            alertmanager,
            receiver,
            tenants,
            wild,
            _exposition: exposition,
            program: options.program.clone(),
            kafka: cluster.client_properties(Listener::SaslPlaintext, ENFORCER),
            scrape: options.scrape,
            folder,
        };
        stage.configure(&options.rule)?;
        stage.enforcer.start().await?;
        Ok(stage)
    }

    /// Changes the enforcer's configuration while it runs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, rule: &Rule) -> Result<()> {
        self.write(&self.enforcer, ENFORCER, rule)
    }

    /// A second replica, which has not been started and comes in as this user.
    ///
    /// # Errors
    /// When no port is free or its files cannot be written.
    pub fn replica(&self, rule: &Rule, user: &str) -> Result<Enforcer> {
        let replica = Enforcer::new(&self.program, self.folder.path().join("replica"))?;
        self.write(&replica, user, rule)?;
        Ok(replica)
    }

    /// Secrets lie in files of their own.
    fn write(&self, enforcer: &Enforcer, user: &str, rule: &Rule) -> Result<()> {
        let mut kafka = self.kafka.clone();
        kafka.insert("sasl.username".to_owned(), user.to_owned());
        kafka.remove("sasl.password");
        let secret = enforcer.folder().join("password");
        files::write(&secret, &password(user))?;
        kafka.insert("sasl.password.file".to_owned(), secret.display().to_string());
        let (address, token) = (enforcer.address(), enforcer.token());
        let text = config::text(&kafka, &self.prometheus.url(), address, &token, self.scrape, rule);
        enforcer.configure(&text)
    }

    /// `GET /api/v1/status`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<Value> {
        self.enforcer.status().await
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
        self.enforcer.command(arguments)
    }

    /// The folder of the enforcer's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// What `docs/quota-enforcer.md` says that the enforcer needs, beside what it may do to the cluster; its topics are those
/// that it has by default.
#[must_use]
pub fn permissions() -> Vec<Grant> {
    permissions_of(ENFORCER, ["backstop.quota.ledger", "backstop.quota.audit"], "backstop.quota.")
}

/// The same for a user with two topics of its own. The ledgers of the cluster begin with `prefix`.
#[must_use]
pub fn permissions_of(user: &str, own: [&str; 2], prefix: &str) -> Vec<Grant> {
    use Operation::{Create, Describe, DescribeConfigs, Read, Write};
    let identity = || "backstop-quota-enforcer".to_owned();
    let topic = |name: &str| {
        let all = [Create, Describe, DescribeConfigs, Read, Write];
        Grant::new(user, Resource::Topic(name.to_owned()), &all)
    };
    let mut grants = own.map(topic).to_vec();
    grants.extend([
        Grant::new(user, Resource::Topics(prefix.to_owned()), &[Describe]),
        Grant::new(user, Resource::Groups(identity()), &[Read, Describe]),
        Grant::new(user, Resource::TransactionalIds(identity()), &[Write, Describe]),
    ]);
    grants
}

/// A producer in the place of one that ended.
pub(super) async fn idle(cluster: &Cluster, user: &str) -> Result<Producer> {
    let producer = producer(cluster, user, 1, 65_536).await?;
    producer.set_rate(0);
    Ok(producer)
}

/// `batch`: bytes; requests are as small as the burst in the rule says.
async fn producer(cluster: &Cluster, user: &str, connections: usize, batch: u32) -> Result<Producer> {
    let topic = format!("{user}.orders");
    cluster.create_topic(&topic, 3, 3, &[("min.insync.replicas", "2")]).await?;
    let mut properties = cluster.client_properties(Listener::SaslPlaintext, user);
    properties.insert("batch.size".to_owned(), batch.to_string());
    let client_id = format!("{user}-orders");
    let options = ProducerOptions::new(properties, &client_id, &topic);
    Producer::start(ProducerOptions { rate: NORMAL, record_size: RECORD, connections, ..options })
}
