//! A cluster, a place for a ledger in it, and what a test needs to disturb it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daemon_kit::clock::{Clock, SystemClock};
use quota_enforcer::adapters::ledger::{
    Election, Fault, IDENTITY, Leadership, Place, Settings, ensure_topics,
};
use quota_enforcer::commands::audit;
use quota_enforcer::spec::Ledger;
use quota_enforcer_core::audit::{Entry, Event, Head, Proof};
use quota_enforcer_core::time::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use serde_json::Value;
use testbed::kafka::{ADMIN, Cluster, ClusterGuard, ENFORCER, Listener};
use testbed::quota::permissions_of;
use testbed::wait::{self, LIMIT};

/// Topics of ledgers and audits start so.
const TOPICS: &str = "quota-enforcer-";

pub(crate) struct World {
    pub(crate) cluster: ClusterGuard,
    pub(crate) place: Place,
    pub(crate) clock: Arc<Skewed>,
}

/// The machine's clock, which a test can put forward.
#[derive(Debug, Default)]
pub(crate) struct Skewed {
    clock: SystemClock,
    ahead_ms: AtomicU64,
}

impl Skewed {
    pub(crate) fn forward(&self, by: Duration) {
        self.ahead_ms.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Skewed {
    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic() + Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }
}

/// Times that a busy machine keeps.
pub(crate) fn settings(name: &str) -> Settings {
    let ledger = Ledger {
        topic: format!("{TOPICS}{name}-ledger"),
        audit_topic: format!("{TOPICS}{name}-audit"),
        replication: 3,
        min_insync_replicas: 2,
        audit_retention: Duration::from_secs(86_400),
        lease: Duration::from_secs(15),
    };
    Settings {
        ledger,
        timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(3),
        session: Duration::from_secs(15),
        instance: "here".to_owned(),
        api: None,
    }
}

/// For a user with what the enforcer needs for these topics.
pub(crate) async fn place(cluster: &Cluster, user: &str, settings: Settings, clock: Arc<dyn Clock>) -> Place {
    let own = [settings.ledger.topic.as_str(), settings.ledger.audit_topic.as_str()];
    cluster.grant(&permissions_of(user, own, TOPICS)).await.unwrap();
    let config = kafka_admin::Config::new(cluster.client_properties(Listener::SaslPlaintext, user)).unwrap();
    let admin = kafka_admin::Client::connect(config.clone()).await.unwrap();
    Place { config, admin, settings, clock }
}

/// A cluster without any ledger of other tests.
pub(crate) async fn world(name: &str) -> World {
    let cluster = Cluster::exclusive().await.unwrap();
    let clock = Arc::new(Skewed::default());
    let place = place(&cluster, ENFORCER, settings(name), Arc::clone(&clock) as Arc<dyn Clock>).await;
    let topics = place.admin.metadata(kafka_admin::Topics::All).await.unwrap().topics;
    let old: Vec<_> =
        topics.iter().map(|topic| topic.name.as_str()).filter(|name| name.starts_with(TOPICS)).collect();
    cluster.delete_topics(&old).await.unwrap();
    let world = World { cluster, place, clock };
    world.until_forgotten().await;
    world
}

impl World {
    /// For somebody who may do everything: who disturbs is not the enforcer.
    pub(crate) fn rdkafka(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in self.cluster.client_properties(Listener::SaslPlaintext, ADMIN) {
            config.set(key, value);
        }
        config
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.rdkafka().create().unwrap()
    }

    /// Deletes ledger and audit.
    pub(crate) async fn delete_both(&self) {
        let ledger = &self.place.settings.ledger;
        self.cluster.delete_topics(&[&ledger.topic, &ledger.audit_topic]).await.unwrap();
    }

    /// Changes a setting of a topic, with Kafka's own tool.
    pub(crate) async fn configure(&self, topic: &str, setting: &str) {
        let servers = self.cluster.bootstrap(Listener::Plaintext);
        let mut arguments = vec!["--bootstrap-server", &servers, "--alter", "--entity-type", "topics"];
        arguments.extend(["--entity-name", topic, "--add-config", setting]);
        self.cluster.tool("kafka.admin.ConfigCommand", &arguments).await.unwrap();
    }

    /// Waits until the group has no members and no claims.
    async fn until_forgotten(&self) {
        let forgotten = || async {
            let members = self.place.admin.group_members(IDENTITY).await?;
            let offsets = self.place.admin.group_offsets(IDENTITY).await?;
            Ok((offsets.is_empty() && members.is_empty()).then_some(()))
        };
        wait::until("the group to be empty", LIMIT, forgotten).await.unwrap();
    }

    /// Waits until somebody is in the group.
    pub(crate) async fn until_members(&self, count: usize) {
        let there = || async {
            let members = self.place.admin.group_members(IDENTITY).await?;
            Ok((members.len() == count).then_some(()))
        };
        wait::until("members of the group", LIMIT, there).await.unwrap();
    }

    pub(crate) async fn join(&self) -> Election {
        ensure(&self.place).await;
        Election::join(self.place.clone()).await.unwrap()
    }

    pub(crate) async fn lead(&self) -> (Election, Leadership) {
        let mut election = self.join().await;
        let leadership = lead(&mut election).await.unwrap();
        (election, leadership)
    }

    /// Reads the audit topic and proves its chain, up to this end.
    pub(crate) async fn prove(&self, head: &Head) -> Proof {
        let found = audit::prove(&self.place).await.unwrap();
        assert!(found.whole && found.anchored, "{found:?}");
        let proof = found.proof.unwrap();
        assert_eq!(proof.head, *head);
        proof
    }
}

/// Makes the topics. That brokers do not know them yet passes.
pub(crate) async fn ensure(place: &Place) {
    while let Err(fault) = ensure_topics(place).await {
        assert!(!fault.needs_a_human(), "{fault}");
        println!("tried again: {fault}");
    }
}

/// Leads, after whatever passes by itself, as a daemon does.
pub(crate) async fn lead(election: &mut Election) -> Result<Leadership, Fault> {
    loop {
        match lead_once(election).await {
            Err(fault) if !fault.needs_a_human() => println!("tried again: {fault}"),
            settled => return settled,
        }
    }
}

/// Leads, or says why not at this try.
pub(crate) async fn lead_once(election: &mut Election) -> Result<Leadership, Fault> {
    tokio::time::timeout(LIMIT, election.lead()).await.expect("leads in time")
}

pub(crate) fn entry(why: &str) -> Entry {
    Entry {
        at: Timestamp(1),
        event: Event::Done,
        by: "rule a".to_owned(),
        slot: None,
        before: None,
        after: Some(5e4),
        why: why.to_owned(),
        evidence: Value::Null,
        policy: String::new(),
    }
}
