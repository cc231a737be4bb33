//! A real Kafka: combined broker and controller nodes in KRaft mode, with users, permissions and certificates.
//!
//! ```text
//! Cluster ── Broker 1..=3 ── listeners: PLAINTEXT, SASL_PLAINTEXT, SSL, MUTUAL_SSL, SASL_SSL
//!    │                  └─── JMX exporter with deploy/jmx-exporter/kafka.yml ──> Prometheus
//!    └── users (SCRAM, PLAIN, certificates), permissions, topics
//! load: Producer, Consumer (librdkafka) as those users
//! ```
//!
//! Every broker has its own process, data and ports, which stay when it is down; a killed or paused one is missed after
//! Kafka's own nine seconds. `testbed/setup.sh kafka` fetches what is
//! started here. With `KEEP=1`, and whenever something fails, a cluster's folder stays for a look at logs and data.

mod broker;
mod certificates;
mod folder;
mod java;
pub mod load;
mod options;
mod ports;
mod properties;
mod shared;
mod told;
mod topics;
mod users;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::process::Command;

pub use broker::Broker;
pub use options::{ADMIN, ENFORCER, Listener, Mechanism, NOBODY, Options, TENANTS, password};
pub use shared::ClusterGuard;
pub use told::quotas_told;
pub use topics::Partition;
pub use users::{Grant, Operation, Resource};

use crate::files::write;
use crate::programs;
use crate::prometheus::Target;
use crate::wait::{self, LIMIT};
use certificates::Authority;
use folder::Folder;
use ports::Ports;

/// How often a cluster is started anew when another process was faster to take one of its ports.
const ATTEMPTS: usize = 3;

/// A running cluster. Dropping it kills its brokers and removes their data.
#[derive(Debug)]
pub struct Cluster {
    // Before the folder: brokers end before their data goes.
    brokers: Vec<Broker>,
    id: String,
    authority: Authority,
    folder: Folder,
}

impl Cluster {
    /// Starts one and waits until every broker knows every broker, user and permission.
    ///
    /// # Errors
    /// When Kafka has not been fetched or is not ready in time; the message names the folder and holds the logs' ends.
    pub async fn start(options: &Options) -> Result<Self> {
        let mut attempt = 1;
        loop {
            let cluster = Self::prepare(options)?;
            let error = match cluster.launch(options).await {
                Ok(()) => return Ok(cluster),
                Err(error) => error,
            };
            let tails = cluster.log_tail(15);
            if attempt < ATTEMPTS && tails.contains("Address already in use") {
                attempt += 1;
                continue;
            }
            cluster.folder.keep();
            return Err(error.context(format!("start Kafka in {}:\n{tails}", cluster.folder().display())));
        }
    }

    /// Lays out the files of every node.
    fn prepare(options: &Options) -> Result<Self> {
        let folder = Folder::create()?;
        let authority = Authority::create(folder.path())?;
        let id = uuid();
        let checkpoint = java::bootstrap_checkpoint()?;
        let all = (0..options.brokers).map(|_| Ports::choose()).collect::<Result<Vec<_>>>()?;
        let mut brokers = Vec::new();
        for (index, ports) in all.iter().enumerate() {
            let node = index + 1;
            let home = folder.path().join(format!("broker-{node}"));
            let data = home.join("data");
            std::fs::create_dir_all(&data).with_context(|| format!("make {}", data.display()))?;
            let text = properties::server(options, node, &all, ports, &data, &authority);
            write(&home.join("server.properties"), &text)?;
            // What `kafka-storage format` does, without three JVMs to do it.
            let meta = format!("version=1\ncluster.id={id}\nnode.id={node}\ndirectory.id={}\n", uuid());
            write(&data.join("meta.properties"), &meta)?;
            std::fs::copy(&checkpoint, data.join("bootstrap.checkpoint")).context("copy the checkpoint")?;
            brokers.push(Broker::new(i32::try_from(node)?, ports.clone(), home, options));
        }
        Ok(Self { brokers, id, authority, folder })
    }

    async fn launch(&self, options: &Options) -> Result<()> {
        for broker in &self.brokers {
            broker.spawn()?;
        }
        for user in options.all_users() {
            self.authority.issue(user)?;
        }
        self.wait_ready().await?;
        let mut grants = users::enforcer();
        grants.extend(options.tenants().flat_map(users::tenant));
        self.grant(&grants).await?;
        self.store_users(&options.all_users().collect::<Vec<_>>()).await
    }

    /// Waits until every broker knows every broker.
    ///
    /// # Errors
    /// When they do not in time, or one has exited.
    pub async fn wait_ready(&self) -> Result<()> {
        let ready = || async {
            for broker in &self.brokers {
                broker.check()?;
                let view = topics::view(broker.address(Listener::Plaintext), None).await;
                // It refuses connections until it is up.
                if !view.is_ok_and(|view| view.brokers.len() == self.brokers.len()) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        };
        wait::until("every broker to know every broker", LIMIT, ready).await
    }

    /// The cluster id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its folder: one folder for each broker, and certificates.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Every broker, in the order of ids.
    #[must_use]
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// The broker with a node id (from 1).
    ///
    /// # Errors
    /// When there is none.
    pub fn broker(&self, id: i32) -> Result<&Broker> {
        let found = self.brokers.iter().find(|broker| broker.id() == id);
        found.with_context(|| format!("no broker has the id {id}"))
    }

    /// Starts a broker that was killed or stopped, with its data and on its ports; waits until it is part of the cluster,
    /// its replicas have caught up and it leads what it led at first. Just goes on when it is up.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn restart(&self, id: i32) -> Result<()> {
        let broker = self.broker(id)?;
        if broker.pid().is_none() {
            broker.spawn()?;
        }
        self.wait_ready().await?;
        self.balance().await
    }

    /// Brings back whatever is down or paused, or left out since it was slow.
    ///
    /// # Errors
    /// As for [`Cluster::restart`].
    pub async fn heal(&self) -> Result<()> {
        for broker in self.brokers.iter().filter(|broker| !broker.is_running()) {
            match broker.pid() {
                None => broker.spawn()?,
                Some(_) => broker.resume()?,
            }
        }
        self.wait_ready().await?;
        self.balance().await
    }

    /// Waits until every replica is in sync and gives partitions back to their preferred leaders.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn balance(&self) -> Result<()> {
        let balanced = || async {
            let broker = self.contact()?;
            let partitions = topics::view(broker, None).await?.partitions;
            if partitions.iter().all(Partition::is_balanced) {
                return Ok(Some(()));
            }
            if partitions.iter().all(|partition| partition.in_sync.len() == partition.replicas.len()) {
                topics::elect_preferred(broker).await?;
            }
            Ok(None)
        };
        wait::until("every partition to be led by its preferred leader", LIMIT, balanced).await
    }

    /// Addresses for `bootstrap.servers`: every broker, up or not.
    #[must_use]
    pub fn bootstrap(&self, listener: Listener) -> String {
        let address = |broker: &Broker| broker.address(listener).to_string();
        self.brokers.iter().map(address).collect::<Vec<_>>().join(",")
    }

    /// What a client needs to come in as `user`, in librdkafka's names. SASL is SCRAM-SHA-256.
    #[must_use]
    pub fn client_properties(&self, listener: Listener, user: &str) -> BTreeMap<String, String> {
        self.client_properties_by(listener, Mechanism::default(), user)
    }

    /// The same with another SASL mechanism.
    #[must_use]
    pub fn client_properties_by(
        &self,
        listener: Listener,
        mechanism: Mechanism,
        user: &str,
    ) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        let mut set = |key: &str, value: &str| properties.insert(key.to_owned(), value.to_owned());
        set("bootstrap.servers", &self.bootstrap(listener));
        set("security.protocol", listener.protocol());
        if listener.is_sasl() {
            set("sasl.mechanism", mechanism.name());
            set("sasl.username", user);
            set("sasl.password", &password(user));
        }
        if listener.is_tls() {
            set("ssl.ca.location", &self.authority.root().display().to_string());
            if !listener.is_sasl() {
                let (certificate, key) = self.authority.client(user);
                set("ssl.certificate.location", &certificate.display().to_string());
                set("ssl.key.location", &key.display().to_string());
            }
        }
        properties
    }

    /// Adds users (SCRAM and certificate, no PLAIN) that may do what tenants may.
    ///
    /// # Errors
    /// When the cluster does not store them, or a broker does not hear of them in time.
    pub async fn add_users(&self, users: &[&str]) -> Result<()> {
        for user in users {
            self.authority.issue(user)?;
        }
        self.grant(&users.iter().flat_map(|user| users::tenant(user)).collect::<Vec<_>>()).await?;
        self.store_users(users).await
    }

    /// Lets users do more, and waits until every running broker knows.
    ///
    /// # Errors
    /// When the cluster does not store it, or a broker does not hear of it in time.
    pub async fn grant(&self, grants: &[Grant]) -> Result<()> {
        let granted = || async { users::grant(self.contact()?, grants).await.map(Some) };
        wait::until("the cluster to store permissions", LIMIT, granted).await?;
        for broker in self.running() {
            let informed = || async {
                let known = users::granted(broker.address(Listener::Plaintext), grants).await?;
                Ok(known.then_some(()))
            };
            wait::until("a broker to know the permissions", LIMIT, informed).await?;
        }
        Ok(())
    }

    async fn store_users(&self, new: &[&str]) -> Result<()> {
        let created = || async { users::create(self.contact()?, new).await.map(Some) };
        wait::until("the cluster to store users", LIMIT, created).await?;
        for broker in self.running() {
            let informed = || async {
                let known = users::known(broker.address(Listener::Plaintext)).await?;
                Ok(new.iter().all(|user| known.iter().any(|known| known == user)).then_some(()))
            };
            wait::until("a broker to know the users", LIMIT, informed).await?;
        }
        Ok(())
    }

    /// Creates a topic and waits until every running broker knows its leaders. Partition 0 is led by broker 1, the next by
    /// broker 2, and so on. A topic that exists is left as it is.
    ///
    /// # Errors
    /// When the cluster refuses.
    pub async fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: i32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let brokers = i32::try_from(self.brokers.len())?;
        let created = || async {
            topics::create(self.contact()?, brokers, name, partitions, replication, configs).await.map(Some)
        };
        wait::until("the cluster to create a topic", LIMIT, created).await?;
        let count = usize::try_from(partitions)?;
        for broker in self.running() {
            let informed = || async {
                let view = topics::view(broker.address(Listener::Plaintext), Some(name)).await?;
                let led = view.partitions.iter().filter(|partition| partition.leader > 0).count();
                Ok((led >= count).then_some(()))
            };
            wait::until("a broker to know the topic", LIMIT, informed).await?;
        }
        Ok(())
    }

    /// Deletes topics and waits until no running broker knows them. One that does not exist is as good as deleted.
    ///
    /// # Errors
    /// When the cluster refuses, or a broker does not forget one in time.
    pub async fn delete_topics(&self, names: &[&str]) -> Result<()> {
        let deleted = || async { topics::delete(self.contact()?, names).await.map(Some) };
        wait::until("the cluster to delete topics", LIMIT, deleted).await?;
        for broker in self.running() {
            let forgotten = || async {
                let view = topics::view(broker.address(Listener::Plaintext), None).await?;
                let known = |partition: &Partition| names.contains(&partition.topic.as_str());
                Ok((!view.partitions.iter().any(known)).then_some(()))
            };
            wait::until("a broker to forget topics", LIMIT, forgotten).await?;
        }
        Ok(())
    }

    /// The partitions of a topic, as a running broker sees them.
    ///
    /// # Errors
    /// When none answers.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<Partition>> {
        Ok(topics::view(self.contact()?, Some(topic)).await?.partitions)
    }

    /// The JMX exporters for Prometheus: job `kafka`, label `broker` with the node id.
    #[must_use]
    pub fn metrics_targets(&self) -> Vec<Target> {
        let target = |broker: &Broker| Target {
            job: "kafka".to_owned(),
            address: broker.metrics(),
            labels: BTreeMap::from([("broker".to_owned(), broker.id().to_string())]),
        };
        self.brokers.iter().map(target).collect()
    }

    /// Runs one of Kafka's own command-line classes, such as `kafka.admin.ConfigCommand`, and hands back what it printed.
    /// Each run costs more than a second of processor time.
    ///
    /// # Errors
    /// When it fails; the message holds its output.
    pub async fn tool(&self, class: &str, arguments: &[&str]) -> Result<String> {
        let output = Command::new(programs::java()?)
            .args(java::arguments(128)?)
            .arg(class)
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("run {class}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("{class} failed ({}):\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(text.into_owned())
    }

    /// The last lines of each broker's log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let tail = |broker: &Broker| format!("== broker {}\n{}\n", broker.id(), broker.log_tail(lines));
        self.brokers.iter().map(tail).collect()
    }

    /// Lets the folder stay when the cluster ends.
    pub fn keep(&self) {
        self.folder.keep();
    }

    fn running(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter().filter(|broker| broker.is_running())
    }

    /// A broker to talk to.
    fn contact(&self) -> Result<SocketAddr> {
        let running = self.running().next().context("no broker is running")?;
        Ok(running.address(Listener::Plaintext))
    }
}

/// Random, in Kafka's spelling: 16 bytes in base64.
fn uuid() -> String {
    let mut bytes = [0_u8; 16];
    fastrand::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}
