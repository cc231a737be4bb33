//! The servers, and a run on them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use daemon_kit::clock::{Clock, SystemClock};
use kafka_admin::{AlterMode, Alteration, Client, Entity, EntityPart};
use quota_enforcer::app::world;
use quota_enforcer::ports::BrokerId;
use quota_enforcer::spec::Settings;
use quota_enforcer_core::decide;
use quota_enforcer_core::step::Window;
use tempfile::TempDir;
use testbed::kafka::load::{Producer, ProducerOptions};
use testbed::kafka::{self, Cluster, ENFORCER, Listener};
use testbed::{Prometheus, files};
use tokio::time::{Instant, sleep};

use crate::board::{Board, Run};
use crate::enforcer::Orders;
use crate::watch::{self, Watcher};

/// Bytes a second of a client that goes wild, over all brokers.
const WILD: u32 = 900_000;
/// `enter`, `limit` and `confirm` of the rule, and how much a client sends.
pub(crate) const RULE: &str = "enter 300 kB/s over all brokers, limit 240 kB/s, confirm 3 of 5; a runaway sends 900 kB/s from its first byte";
/// Whoever goes wild.
const USER: &str = "mallory";
const TOPIC: &str = "mallory.load";
/// From a producer's start to its first record: for logins and metadata.
const CONNECT: Duration = Duration::from_millis(1_200);
/// The broker's window by default.
const WINDOWS: u32 = 11;

/// The servers that all phases share.
pub(crate) struct Bed {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) folder: TempDir,
    cluster: Cluster,
    /// For those who watch: not the enforcer's own connections.
    admin: Client,
    _calm: Producer,
}

impl Bed {
    pub(crate) async fn start() -> Result<Self> {
        let cluster = Cluster::start(&kafka::Options::default()).await?;
        cluster.grant(&testbed::quota::permissions()).await?;
        cluster.create_topic(TOPIC, 3, 1, &[]).await?;
        cluster.create_topic("alice.orders", 3, 1, &[]).await?;
        let config = kafka_admin::Config::new(cluster.client_properties(Listener::Plaintext, kafka::ADMIN))?;
        let admin = Client::connect(config).await?;
        anchor(&admin).await?;
        let calm = ProducerOptions {
            rate: 60_000,
            ..ProducerOptions::new(
                cluster.client_properties(Listener::SaslPlaintext, "alice"),
                "calm",
                "alice.orders",
            )
        };
        let folder = tempfile::Builder::new().prefix("quota-latency-").tempdir()?;
        files::write(&folder.path().join("password"), &kafka::password(ENFORCER))?;
        Ok(Self {
            clock: Arc::new(SystemClock::new()),
            folder,
            cluster,
            admin,
            _calm: Producer::start(calm)?,
        })
    }

    /// The enforcer's configuration.
    pub(crate) fn settings(&self, prometheus: &str, scrape: Duration, tick: Duration) -> Result<Settings> {
        let mut text = "kafka:\n".to_owned();
        let mut line = |line: String| writeln!(text, "{line}").context("write to a string");
        let mut kafka = self.cluster.client_properties(Listener::SaslPlaintext, ENFORCER);
        kafka.remove("sasl.password");
        let password = self.folder.path().join("password");
        kafka.insert("sasl.password.file".to_owned(), password.display().to_string());
        for (key, value) in kafka {
            line(format!("  {key}: {value:?}"))?;
        }
        let scrape = scrape.as_secs();
        line(format!("prometheus:\n  url: {prometheus}\n  timeout: 5s"))?;
        line(format!("evidence:\n  scrape_interval: {scrape}s\n  max_age: {}s", (scrape * 3).max(5)))?;
        line(format!("tick: {}ms", tick.as_millis()))?;
        line(
            "caps: {throttles: 50, share_of_clients: 100%, share_of_traffic: 100%, changes_per_minute: 1000}"
                .to_owned(),
        )?;
        line("rules:\n  - name: runaway\n    mode: enforce\n    select: {client_ids: [\"runaway-*\"]}\n    entity: client-id\n    measure: produce".to_owned())?;
        line(
            "    enter: 300000B/s\n    limit: 240000B/s\n    confirm: 3 of 5\n    sentinel: 1TB/s".to_owned(),
        )?;
        line("    burst: {connections: 1, request_bytes: 16384B}".to_owned())?;
        let path = self.folder.path().join("quota-enforcer.yaml");
        files::write(&path, &text)?;
        world::settings(&path)
    }

    /// A Prometheus, and everything that one phase needs.
    pub(crate) async fn scene(&self, scrape: Duration, tick: Duration) -> Result<Scene> {
        let prometheus = Prometheus::builder()
            .scrape_interval(scrape)
            .targets(self.cluster.metrics_targets())
            .start()
            .await?;
        let settings = self.settings(&prometheus.url(), scrape, tick)?;
        Ok(Scene {
            clock: Arc::clone(&self.clock),
            settings,
            prometheus: Arc::new(prometheus),
            board: Board::default(),
            admin: self.admin.clone(),
            properties: self.cluster.client_properties(Listener::SaslPlaintext, USER),
            brokers: self.cluster.brokers().iter().map(kafka::Broker::id).collect(),
        })
    }
}

/// A quota of some other client id, as clusters with quotas have: with the first and the last one of a kind Kafka moves
/// series, and until they have settled nothing is decided.
async fn anchor(admin: &Client) -> Result<()> {
    let anchor = Alteration {
        entity: Entity::client_id(EntityPart::name("anchor")),
        ops: vec![("producer_byte_rate".to_owned(), Some(1e12))],
    };
    for altered in admin.alter_client_quotas(&[anchor], AlterMode::Apply).await {
        altered.result?;
    }
    Ok(())
}

/// What runs of one phase share.
pub(crate) struct Scene {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) board: Board,
    prometheus: Arc<Prometheus>,
    admin: Client,
    properties: BTreeMap<String, String>,
    brokers: Vec<BrokerId>,
}

impl Scene {
    /// Until a new engine trusts what it sees.
    pub(crate) fn warm_up(&self) -> Duration {
        let window = Window::new(WINDOWS, Duration::from_secs(1));
        decide::settle(&self.settings.policy, window) + self.settings.policy.evidence.scrape_interval * 2
    }

    pub(crate) fn watcher(&self) -> Watcher {
        let window = Window::new(WINDOWS, Duration::from_secs(1));
        let brokers = self.brokers.iter().map(|broker| (*broker, window)).collect();
        Watcher::new(
            Arc::clone(&self.prometheus),
            Arc::clone(&self.clock),
            self.board.clone(),
            &self.settings.policy,
            brokers,
        )
    }

    /// A client goes wild, gets its first quota on all brokers, stops, and is let go.
    pub(crate) fn run(
        &self,
        client: String,
        orders: Orders,
    ) -> impl Future<Output = Result<Run>> + Send + use<> {
        let (clock, board, admin) = (Arc::clone(&self.clock), self.board.clone(), self.admin.clone());
        let (brokers, mut properties) = (self.brokers.clone(), self.properties.clone());
        let limit = self.settings.policy.evidence.scrape_interval * 10 + Duration::from_secs(60);
        async move {
            properties.insert("batch.size".to_owned(), "8192".to_owned());
            let options = ProducerOptions {
                rate: 0,
                record_size: 4_000,
                ..ProducerOptions::new(properties, &client, TOPIC)
            };
            let producer = Producer::start(options)?;
            sleep(CONNECT).await;
            producer.set_rate(WILD);
            while producer.totals().sent == 0 {
                sleep(Duration::from_millis(2)).await;
            }
            board.begins(&client, clock.monotonic());
            let deadline = Instant::now() + limit;
            while board.run(&client).is_none_or(|run| run.unmissed.is_none()) {
                ensure!(Instant::now() < deadline, "{client} was not confirmed within {limit:?}");
                sleep(Duration::from_millis(5)).await;
            }
            let lives =
                brokers.iter().map(|broker| watch::live(&admin, *broker, &client, clock.as_ref(), &board));
            tokio::time::timeout_at(deadline, futures_util::future::try_join_all(lives))
                .await
                .with_context(|| {
                    format!("{client} got no quota within {limit:?}: {:?}", board.run(&client))
                })??;
            producer.stop(Duration::ZERO).await?;
            orders.exempt(&client).await?;
            board.run(&client).context("it has begun")
        }
    }
}
