//! Faults on a real cluster. In all of them humans have quotas of their own, beside and on the entities that the enforcer
//! writes, and after each step the whole of the cluster's quotas is looked at: what is a human's stands, what is not is in
//! the ledger.

mod bounds;
mod brokers;
mod evidence;
mod humans;
mod kill;
mod ledger;
mod measures;
mod policy;
mod replicas;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use kafka_admin::{AlterMode, Alteration, Client, Config, Entity, EntityPart, Filter};
use quota_enforcer::adapters::ledger::IDENTITY;
use quota_enforcer::status::{Role, Status};
use quota_enforcer_core::ledger::{Hold, Phase, Purpose};
use testbed::kafka::{self, ADMIN, Cluster, ClusterGuard, Listener};
use testbed::quota::{Options, Rule, Stage};
use testbed::wait::{self, LIMIT};

use crate::root;

/// What the runaway wants, bytes a second.
const WILD: u32 = 2_000_000;
/// What it takes when it behaves.
const CALM: u32 = 60_000;
const PRODUCE: &str = "producer_byte_rate";
const CONSUME: &str = "consumer_byte_rate";
const TOPICS: [&str; 2] = ["backstop.quota.ledger", "backstop.quota.audit"];

/// Brokers look back three seconds instead of ten: all that waits for a window takes a third of the time. A member of a group
/// may be declared dead sooner, too.
fn options() -> kafka::Options {
    let properties = BTreeMap::from([("group.min.session.timeout.ms".to_owned(), "1000".to_owned())]);
    kafka::Options { quota_windows: 3, properties, ..kafka::Options::default() }
}

/// Samples are to be whole.
fn full() -> bool {
    std::env::var_os("FULL").is_some_and(|full| full == "1")
}

/// What the tests begin with.
fn rule() -> Rule {
    Rule {
        enter: 600_000,
        limit: 300_000,
        confirm: "2 of 3",
        hold: ("1s", "10m", "1h"),
        burst: (1, 65_536),
        sentinel: false,
        lease: "5s",
        ..Rule::default()
    }
}

fn user(name: &str) -> Entity {
    Entity::user(EntityPart::name(name))
}

/// Quotas by entity and key.
type Quotas = BTreeMap<(String, String), f64>;

/// A stage with humans on it.
struct World {
    stage: Stage,
    admin: Client,
    humans: Quotas,
    cluster: ClusterGuard,
}

impl World {
    async fn new(rule: Rule) -> Self {
        Self::with_connections(rule, 1).await
    }

    /// The runaway has that many connections.
    async fn with_connections(rule: Rule, connections: usize) -> Self {
        let cluster = Cluster::exclusive_with(&options()).await.unwrap();
        let properties = cluster.client_properties(Listener::SaslPlaintext, ADMIN);
        let admin = Client::connect(Config::new(properties).unwrap()).await.unwrap();
        forget(&cluster, &admin).await;
        let humans = [
            // So that users are measured.
            (Entity::user(EntityPart::Default), PRODUCE, 1e12),
            (user("alice"), PRODUCE, 5e7),
            // On the entity that is going to be throttled, another key.
            (user("mallory"), CONSUME, 7e7),
            (Entity::client_id(EntityPart::name("batch")), CONSUME, 9e6),
            (Entity::ip(EntityPart::name("10.9.8.7")), "connection_creation_rate", 50.0),
        ];
        let mut before = Quotas::new();
        for (entity, key, value) in &humans {
            set(&cluster, &admin, entity, key, Some(*value)).await;
            before.insert((entity.to_string(), (*key).to_owned()), *value);
        }
        let options = Options {
            program: env!("CARGO_BIN_EXE_quota-enforcer").into(),
            rules: vec![root().join("rules/quota-enforcer.yml")],
            alertmanager: std::fs::read_to_string(root().join("examples/quota/alertmanager.yml")).unwrap(),
            scrape: Duration::from_secs(1),
            rule,
            connections,
        };
        let stage = Stage::start(&cluster, &options).await.unwrap();
        Self { stage, admin, humans: before, cluster }
    }

    /// Waits until the enforcer leads and measures everybody.
    async fn ready(&self) {
        self.until("to lead and to see", |status| {
            let seen = status.seen.values().copied().max().unwrap_or_default();
            status.role == Role::Leader && status.blockers.is_empty() && seen >= 4
        })
        .await;
        self.look().await;
    }

    async fn status(&self) -> Result<Status> {
        Ok(serde_json::from_value(self.stage.status().await?)?)
    }

    /// Looks at the enforcer's status until it is as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let last = std::sync::Mutex::new(None);
        let looked = until(what, || async {
            let status = self.status().await;
            if let Ok(status) = &status
                && wanted(status)
            {
                return Ok(Some(status.clone()));
            }
            *last.lock().unwrap() = Some(status);
            Ok(None)
        });
        match looked.await {
            Ok(status) => status,
            Err(error) => {
                panic!("{error}: {:#?}\n{}", last.lock().unwrap(), self.stage.enforcer.log_tail(25))
            }
        }
    }

    /// Waits until the runaway's hold is as wanted.
    async fn hold(&self, what: &str, wanted: impl Fn(&Hold) -> bool) -> Hold {
        let status = self.until(what, |status| throttle(status).is_some_and(&wanted)).await;
        throttle(&status).cloned().unwrap()
    }

    /// The runaway runs and is throttled.
    async fn throttled(&self) -> Hold {
        self.stage.wild.set_rate(WILD);
        let hold = self.hold("the throttle", |hold| hold.ours.is_some()).await;
        self.look().await;
        hold
    }

    /// The same until the bound is where it is meant to be.
    async fn held(&self) -> Hold {
        self.stage.wild.set_rate(WILD);
        let holding = |hold: &Hold| hold.phase == Phase::Holding && hold.intent.is_none();
        let hold = self.hold("the bound to be where it is meant to be", holding).await;
        self.look().await;
        hold
    }

    /// The runaway calms down and gets back what it had.
    async fn released(&self) {
        self.stage.wild.set_rate(CALM);
        self.until("the release", |status| throttle(status).is_none()).await;
        assert_eq!(self.look().await, Quotas::new(), "nothing of ours is left");
    }

    /// The runaway calms down, and Prometheus knows.
    async fn calm(&self) {
        self.stage.wild.set_rate(CALM);
        let query = "sum(kafka_server_quota_byte_rate{resource=\"Produce\", user=\"mallory\"})";
        let calm = || async {
            let rate = self.stage.prometheus.value(query).await?;
            Ok(rate.filter(|rate| *rate < 1.5 * f64::from(CALM)).map(drop))
        };
        until("the runaway to be calm", calm).await.unwrap();
    }

    async fn quotas(&self) -> Quotas {
        quotas(&self.admin).await
    }

    /// The whole of the quotas: what is a human's stands. Returns the rest.
    async fn look(&self) -> Quotas {
        let mut all = self.quotas().await;
        for (slot, value) in &self.humans {
            assert_eq!(all.remove(slot), Some(*value), "a human's quota at {slot:?}: {all:?}");
        }
        all
    }

    /// Waits until nothing is under way and what stands beside humans' quotas is exactly what the ledger says.
    async fn agreed(&self) -> Quotas {
        let agreed = until("ledger and live quotas to agree", || async {
            let Ok(status) = self.status().await else { return Ok(None) };
            let settled = status.holds.iter().all(|hold| hold.intent.is_none());
            let live = self.look().await;
            Ok((settled && live == ours(&status.holds)).then_some(live))
        });
        match agreed.await {
            Ok(live) => live,
            Err(error) => panic!("{error}: {:?}, {:?}", self.status().await, self.quotas().await),
        }
    }

    /// Holds at any moment, whatever died: what stands and is no human's is in the ledger, as done or as intended.
    async fn written_ahead(&self) {
        // Without a daemon the command asks the brokers, which may be too busy to answer in time.
        let asked = until("the ledger to be read", || async {
            let (code, out, err) = self.stage.command(&["status", "--output", "json"])?;
            if code != Some(0) {
                println!("{out}{err}");
                return Ok(None);
            }
            Ok(Some(serde_json::from_str(&out)?))
        });
        let status: Status = asked.await.unwrap();
        let holds: BTreeMap<_, _> = status.holds.iter().map(|hold| (slot(hold), hold)).collect();
        let live = self.look().await;
        for (slot, value) in &live {
            let hold =
                holds.get(slot).unwrap_or_else(|| panic!("{slot:?} is {value}, and not in the ledger"));
            let known = [hold.ours, hold.intent.and_then(|intent| intent.to)];
            assert!(known.contains(&Some(*value)), "{slot:?} is {value}: {hold:?}");
        }
        for (slot, hold) in holds {
            let gone = hold.ours.is_none() || hold.intent.is_some_and(|intent| intent.to.is_none());
            assert!(live.contains_key(&slot) || gone, "{slot:?} is gone: {hold:?}");
        }
    }

    /// A human changes a quota with a tool of theirs.
    async fn human_sets(&mut self, entity: &Entity, key: &str, value: Option<f64>) {
        set(&self.cluster, &self.admin, entity, key, value).await;
        let slot = (entity.to_string(), key.to_owned());
        match value {
            Some(value) => drop(self.humans.insert(slot, value)),
            None => drop(self.humans.remove(&slot)),
        }
    }

    /// A command of the enforcer that succeeds, as soon as brokers are not too busy to answer it in time. One that was carried
    /// out although nobody heard of it says so the next time.
    async fn run(&self, arguments: &[&str]) -> String {
        const DONE: [&str; 3] = ["already", "not paused", "no quota of ours stands"];
        let mut tries = 0;
        let done = until("a command to succeed", || {
            tries += 1;
            let first = tries == 1;
            async move {
                let (code, out, err) = self.stage.command(arguments)?;
                let done = code == Some(0) || !first && DONE.iter().any(|done| err.contains(done));
                anyhow::ensure!(done, "{arguments:?}: {out}{err}\n{}", self.stage.enforcer.log_tail(20));
                Ok(Some(out))
            }
        });
        done.await.unwrap()
    }

    /// Everything is given back by order; what is under way is ordered again.
    async fn let_go(&self) {
        let free = until("everything to be released", || async {
            let order = ["release", "--all", "--reason", "a test", "--by", "tester"];
            let (code, out, err) = self.stage.command(&order)?;
            // 1: something is under way.
            assert!(matches!(code, Some(0 | 1)), "{out}{err}");
            Ok((code == Some(0) && self.status().await?.holds.is_empty()).then_some(()))
        });
        free.await.unwrap();
        assert_eq!(self.look().await, Quotas::new(), "nothing of ours is left");
    }

    /// The records of the audit topic are a whole chain.
    async fn proved(&self) {
        self.run(&["audit", "verify"]).await;
    }

    /// The value of the enforcer's own metric, as Prometheus has it.
    async fn until_metric(&self, query: &str, value: f64) {
        let reached =
            || async { Ok((self.stage.prometheus.value(query).await? == Some(value)).then_some(())) };
        if let Err(error) = until(query, reached).await {
            panic!("{error}: {:#?}", self.status().await);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the enforcer's log:\n{}", self.stage.enforcer.log_tail(60));
        }
        // In order, so that the next test's enforcer need not wait for its session to end.
        self.stage.enforcer.stop();
    }
}

/// The runaway's hold.
fn throttle(status: &Status) -> Option<&Hold> {
    status.holds.iter().find(|hold| hold.purpose == Purpose::Throttle)
}

fn slot(hold: &Hold) -> (String, String) {
    (hold.slot.entity.to_string(), hold.slot.key.name().to_owned())
}

/// What is to stand by the ledger.
fn ours(holds: &[Hold]) -> Quotas {
    holds.iter().filter_map(|hold| Some((slot(hold), hold.ours?))).collect()
}

async fn quotas(admin: &Client) -> Quotas {
    let entries = admin.describe_client_quotas(&Filter::all()).await.unwrap();
    let entries = entries.into_iter().flat_map(|entry| {
        let entity = entry.entity.to_string();
        entry.values.into_iter().map(move |(key, value)| ((entity.clone(), key), value))
    });
    entries.collect()
}

/// Sets a quota and waits until every running broker tells it.
async fn set(cluster: &Cluster, admin: &Client, entity: &Entity, key: &str, value: Option<f64>) {
    let alteration = Alteration { entity: entity.clone(), ops: vec![(key.to_owned(), value)] };
    for altered in admin.alter_client_quotas(&[alteration], AlterMode::Apply).await {
        altered.result.unwrap();
    }
    for broker in cluster.brokers().iter().filter(|broker| broker.is_running()) {
        let told = || async {
            let entries = admin.describe_client_quotas_at(broker.id(), &Filter::exactly(entity)).await?;
            let live = entries.first().and_then(|entry| entry.values.get(key).copied());
            Ok((live == value).then_some(()))
        };
        until("a broker to tell a quota", told).await.unwrap();
    }
}

/// Takes away what tests before left: quotas, ledger, audit, claims.
async fn forget(cluster: &Cluster, admin: &Client) {
    for ((entity, key), _) in quotas(admin).await {
        let entries = admin.describe_client_quotas(&Filter::all()).await.unwrap();
        let entry = entries.into_iter().find(|entry| entry.entity.to_string() == entity);
        if let Some(entry) = entry {
            set(cluster, admin, &entry.entity, &key, None).await;
        }
    }
    cluster.delete_topics(&TOPICS).await.unwrap();
    let forgotten = || async {
        let members = admin.group_members(IDENTITY).await?;
        let offsets = admin.group_offsets(IDENTITY).await?;
        Ok((members.is_empty() && offsets.is_empty()).then_some(()))
    };
    until("nothing to be left of the test before", forgotten).await.unwrap();
}

async fn until<T, F, Fut>(what: &str, probe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    wait::until(what, LIMIT, probe).await
}
