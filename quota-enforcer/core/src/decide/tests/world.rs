//! A cluster of three brokers whose sensors follow demand and quotas at once, and are scraped all together or one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decide::{Memory, Observation, Outcome, decide};
use crate::entity::{Client, Entity, Kind};
use crate::ledger::{Ledger, Phase};
use crate::policy::{
    Burst, Caps, Confirm, Evidence, Floor, HoldTimes, Limit, Measure, Mode, Policy, Protected, Rule, Select,
};
use crate::quota::{Key, Slot, Snapshot};
use crate::recover::reconcile;
use crate::step::Window;
use crate::time::Timestamp;
use crate::usage::{Answer, Reading, Usage};

pub(super) const KEY: Key = Key::ProducerByteRate;
pub(super) const MB: f64 = 1e6;
const BROKERS: [i32; 3] = [1, 2, 3];

pub(super) fn client(name: &str) -> Entity {
    Entity::client_id(name)
}

/// Of a client id, of a `user/client-id`, or of a `user/`.
pub(super) fn slot_of(name: &str) -> Slot {
    let entity = match name.split_once('/') {
        Some((user, "")) => Entity::user(user),
        Some((user, client_id)) => Entity::pair(user, client_id),
        None => client(name),
    };
    Slot { entity, key: KEY }
}

fn tags(name: &str) -> Client {
    match name.split_once('/') {
        Some((user, "")) => Client { user: Some(user.to_owned()), client_id: None },
        Some((user, client_id)) => {
            Client { user: Some(user.to_owned()), client_id: Some(client_id.to_owned()) }
        }
        None => Client { user: None, client_id: Some(name.to_owned()) },
    }
}

pub(super) fn rule() -> Rule {
    Rule {
        name: "greedy".to_owned(),
        select: Select::default(),
        entity: Kind::ClientId,
        key: KEY,
        measure: Measure::Total,
        enter: 10.0 * MB,
        release: 5.0 * MB,
        confirm: Confirm { k: 3, n: 4 },
        mode: Mode::Enforce,
        limit: Limit::Total(6.0 * MB),
        floor: Floor { bound: 0.5 * MB, times_baseline: None },
        hold: HoldTimes {
            minimum: Duration::from_secs(60),
            duration: Duration::from_secs(300),
            factor: 2,
            longest: Duration::from_secs(3600),
            memory: Duration::from_secs(86_400),
        },
        when: None,
        sentinel: None,
        burst: Burst { connections: 1, request_bytes: MB },
        owner: None,
        runbook_url: None,
    }
}

pub(super) fn policy(rules: Vec<Rule>) -> Policy {
    Policy {
        version: "v1".to_owned(),
        rules,
        protected: Protected::default(),
        caps: Caps { throttles: 5, share_of_clients: 0.5, share_of_traffic: 1.0, changes_per_minute: 20 },
        evidence: Evidence {
            max_age: Duration::from_secs(10),
            coverage: 1.0,
            scrape_interval: Duration::from_secs(1),
            settle_scrapes: 2,
        },
        mute: Duration::from_secs(10),
        sentinel_from: 1e12,
    }
}

pub(super) struct World {
    pub(super) policy: Policy,
    pub(super) ledger: Ledger,
    pub(super) snapshot: Snapshot,
    pub(super) now: Timestamp,
    pub(super) burns: BTreeMap<String, f64>,
    pub(super) baselines: BTreeMap<String, BTreeMap<Entity, f64>>,
    pub(super) answers: BTreeMap<String, BTreeMap<Entity, Answer>>,
    pub(super) blockers: Vec<String>,
    /// Prometheus answers with what it knew when it went blind.
    pub(super) blind: bool,
    /// No broker obeys a quota.
    pub(super) deaf: bool,
    /// Series are gone.
    pub(super) hidden: bool,
    /// Clients are measured under other labels; the sensors that they had before read zero.
    pub(super) moved: bool,
    /// As Kafka does: no quota, no series.
    pub(super) only_with_quota: bool,
    pub(super) no_snapshot: bool,
    /// The controller takes no quota.
    pub(super) refuses: bool,
    pub(super) unscraped: Vec<i32>,
    /// How much higher than the rate the highest one of a moment ago was.
    pub(super) lately: f64,
    /// Between two ticks.
    step: Duration,
    /// Each broker's first scrape after the start; the next ones follow in the evidence's interval.
    offsets: BTreeMap<i32, Duration>,
    started: Timestamp,
    demands: BTreeMap<String, f64>,
    last: Usage,
    pub(super) memory: Memory,
}

impl World {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            ledger: Ledger::default(),
            snapshot: Snapshot::default(),
            now: Timestamp(1_000_000),
            burns: BTreeMap::new(),
            baselines: BTreeMap::new(),
            answers: BTreeMap::new(),
            blockers: Vec::new(),
            blind: false,
            deaf: false,
            hidden: false,
            moved: false,
            only_with_quota: false,
            no_snapshot: false,
            refuses: false,
            unscraped: Vec::new(),
            lately: 1.0,
            step: Duration::from_secs(1),
            offsets: BROKERS.into_iter().map(|broker| (broker, Duration::ZERO)).collect(),
            started: Timestamp(1_000_000),
            demands: BTreeMap::new(),
            last: Usage::default(),
            memory: Memory::default(),
        }
    }

    /// Ticks every five seconds, each broker scraped every fifteen, at its own time.
    pub(super) fn spread(policy: Policy) -> Self {
        let mut world = Self::new(policy);
        world.step = Duration::from_secs(5);
        world.offsets = BROKERS.into_iter().zip([1, 8, 14].map(Duration::from_secs)).collect();
        let evidence = &mut world.policy.evidence;
        (evidence.scrape_interval, evidence.max_age) = (Duration::from_secs(15), Duration::from_secs(45));
        world
    }

    /// What a client would use over all brokers.
    pub(super) fn demand(&mut self, name: &str, rate: f64) {
        self.demands.insert(name.to_owned(), rate);
    }

    pub(super) fn quota(&self, name: &str) -> Option<f64> {
        self.snapshot.get(&slot_of(name))
    }

    pub(super) fn phase(&self, name: &str) -> Option<Phase> {
        self.ledger.holds.get(&slot_of(name)).map(|hold| hold.phase)
    }

    /// One step: the sensors move, it is scraped what is due, it is decided, and what was decided is done.
    pub(super) fn tick(&mut self) -> Outcome {
        self.now = self.now + self.step;
        if !self.blind {
            self.scrape();
        }
        let window = Window::new(11, Duration::from_secs(1));
        let observation = Observation {
            usage: BTreeMap::from([(KEY, self.last.clone())]),
            snapshot: (!self.no_snapshot).then(|| self.snapshot.clone()),
            brokers: BROKERS.into_iter().map(|broker| (broker, window)).collect(),
            burns: self.burns.clone(),
            baselines: self.baselines.clone(),
            answers: self.answers.clone(),
            blockers: self.blockers.clone(),
            ..Observation::default()
        };
        let outcome = decide(&self.policy, &observation, &self.ledger, &mut self.memory, self.now);
        for act in &outcome.acts {
            if act.forget {
                self.ledger.holds.remove(&act.hold.slot);
                continue;
            }
            self.ledger.holds.insert(act.hold.slot.clone(), act.hold.clone());
            if let Some(intent) = act.hold.intent {
                let live = if self.refuses { intent.from } else { intent.to };
                self.snapshot.set(act.hold.slot.clone(), live);
                for change in reconcile(&act.hold, live, self.now).changes {
                    self.ledger.apply(change);
                }
            }
        }
        outcome
    }

    fn scrape(&mut self) {
        for broker in BROKERS {
            let Some(at) = self.due(broker) else { continue };
            self.last.readings.retain(|reading| reading.broker != broker);
            self.last.scraped.insert(broker, at);
            for (name, demand) in &self.demands {
                if self.hidden || (self.only_with_quota && self.snapshot.is_empty()) {
                    continue;
                }
                let wanted = demand / BROKERS.len() as f64;
                let rate = match self.quota(name).filter(|_| !self.deaf) {
                    _ if self.moved => 0.0,
                    Some(bound) if bound < wanted => bound,
                    _ => wanted,
                };
                let peak = rate * self.lately;
                self.last.readings.push(Reading { broker, client: tags(name), rate, peak, at });
            }
        }
        // Prometheus is asked for no more.
        let now = self.now;
        let max_age = self.policy.evidence.max_age;
        self.last.readings.retain(|reading| now.since(reading.at) <= max_age);
    }

    /// The broker's last scrape, if nothing is known of it yet.
    fn due(&self, broker: i32) -> Option<Timestamp> {
        if self.unscraped.contains(&broker) {
            return None;
        }
        let first = self.started + self.offsets[&broker];
        let interval = crate::time::millis(self.policy.evidence.scrape_interval);
        let at = Timestamp(self.now.0 - (self.now.0 - first.0).rem_euclid(interval));
        (at >= first && self.last.scraped.get(&broker).is_none_or(|last| at > *last)).then_some(at)
    }

    /// Ticks until it is so; fails after six hours.
    pub(super) fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..6 * 3600 {
            self.tick();
            if done(self) {
                return;
            }
        }
        panic!("not {what}: {:?}", self.ledger);
    }
}
