//! A cluster in memory, its ledger and its metrics, that a test can make fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use daemon_kit::testing::ManualClock;
use quota_enforcer_core::audit::{Entry, Head};
use quota_enforcer_core::entity::{Client, Kind};
use quota_enforcer_core::ledger::Change;
use quota_enforcer_core::policy::{
    Burst, Caps, Confirm, Evidence, Floor, HoldTimes, Limit, Measure, Mode, Protected, Rule, Select,
};
use quota_enforcer_core::quota::{Key, Slot, Snapshot, same};
use quota_enforcer_core::usage::{Reading, Usage};

use super::super::*;
use crate::ports::{BrokerId, BrokerInfo};

pub(super) const KEY: Key = Key::ProducerByteRate;
pub(super) const MB: f64 = 1e6;
pub(super) const HUMAN: f64 = 7_654_321.0;
/// The broker that may be cut off from the controller and tell what was.
pub(super) const LAGGARD: BrokerId = 1;
pub(super) const IN_FLIGHT: Duration = Duration::from_secs(40);

/// What happens to one alteration.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Applied,
    Refused,
    NotSent,
    AnswerLost,
    RequestLost,
    /// Applied after so many ticks, without an answer.
    Late(u8),
    /// Applied, without an answer, and again after so many ticks: a broker that forwards it asks the next controller.
    Twice(u8),
    /// A human writes between the write and its reading back.
    HumanAfter,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) quotas: Snapshot,
    pub(super) ledger: Ledger,
    pub(super) head: Head,
    pub(super) entries: Vec<Entry>,
    pub(super) demand: BTreeMap<String, f64>,
    pub(super) now: Timestamp,
    pub(super) fates: Vec<Fate>,
    pub(super) late: Vec<(u8, Slot, Option<f64>)>,
    pub(super) commit_fails: u8,
    /// The same, from the next alteration on.
    pub(super) commit_fails_then: u8,
    /// What the laggard tells, while it lags.
    pub(super) lag: Option<Snapshot>,
    /// The laggard does not answer.
    pub(super) down: bool,
    /// How long the ledger takes to be written.
    pub(super) slow: Duration,
    /// How long the laggard takes to answer.
    pub(super) hesitates: Duration,
    pub(super) clock: Option<Arc<ManualClock>>,
    /// What is left of the lease, when it is not long.
    pub(super) lease: Option<Duration>,
    /// Values as each broker told them last, to hold each write against.
    pub(super) seen: BTreeMap<BrokerId, Snapshot>,
    /// A value that a human set and that was visible when we wrote over it.
    pub(super) overwritten: Vec<Slot>,
}

impl World {
    pub(super) fn told_by(&self, broker: BrokerId) -> Snapshot {
        self.lag.clone().filter(|_| broker == LAGGARD).unwrap_or_else(|| self.quotas.clone())
    }
}

#[derive(Clone, Default)]
pub(super) struct Sim(pub(super) Arc<Mutex<World>>);

impl Sim {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

pub(super) fn slot(name: &str) -> Slot {
    Slot { entity: quota_enforcer_core::entity::Entity::client_id(name), key: KEY }
}

#[async_trait]
impl Quotas for Sim {
    async fn cluster(&self) -> Result<Cluster, QuotaFault> {
        let info = BrokerInfo { windows: 11, window: Duration::from_secs(1) };
        let brokers = (1..=3).map(|id| (id, info)).collect();
        let doubts = if self.world().down { vec!["one is silent".to_owned()] } else { Vec::new() };
        Ok(Cluster { id: "c".to_owned(), brokers, doubts, ..Cluster::default() })
    }

    async fn snapshot(&self) -> Result<Snapshot, QuotaFault> {
        // The worst that can answer.
        Ok(self.world().told_by(LAGGARD))
    }

    async fn told_by(&self, broker: BrokerId, slots: &[Slot]) -> Result<Snapshot, QuotaFault> {
        let mut world = self.world();
        if world.down && broker == LAGGARD {
            return Err(QuotaFault::Failed("no answer".to_owned()));
        }
        if let Some(clock) = world.clock.as_ref().filter(|_| broker == LAGGARD) {
            clock.advance(world.hesitates);
        }
        let told = world.told_by(broker);
        let told: Snapshot = slots.iter().filter_map(|slot| Some((slot.clone(), told.get(slot)?))).collect();
        let seen = world.seen.entry(broker).or_default();
        for slot in slots {
            seen.set(slot.clone(), told.get(slot));
        }
        Ok(told)
    }

    async fn alter(
        &self,
        writes: &[(Slot, Option<f64>)],
        _: bool,
    ) -> Result<Vec<Result<(), String>>, QuotaFault> {
        let mut world = self.world();
        let fate = world.fates.pop().unwrap_or(Fate::Applied);
        world.commit_fails += std::mem::take(&mut world.commit_fails_then);
        for (slot, _) in writes {
            if world.seen.values().any(|seen| same(seen.get(slot), Some(HUMAN))) {
                world.overwritten.push(slot.clone());
            }
        }
        let apply = |world: &mut World| {
            for (slot, to) in writes {
                world.quotas.set(slot.clone(), *to);
            }
        };
        match fate {
            Fate::Applied => apply(&mut world),
            Fate::Refused => return Ok(writes.iter().map(|_| Err("refused".to_owned())).collect()),
            Fate::NotSent => return Err(QuotaFault::Failed("no broker".to_owned())),
            Fate::AnswerLost => {
                apply(&mut world);
                return Err(QuotaFault::Unknown("no answer".to_owned()));
            }
            Fate::RequestLost => return Err(QuotaFault::Unknown("no answer".to_owned())),
            Fate::Late(ticks) => {
                for (slot, to) in writes {
                    world.late.push((ticks, slot.clone(), *to));
                }
                return Err(QuotaFault::Unknown("no answer".to_owned()));
            }
            Fate::Twice(ticks) => {
                apply(&mut world);
                for (slot, to) in writes {
                    world.late.push((ticks, slot.clone(), *to));
                }
                return Err(QuotaFault::Unknown("no answer".to_owned()));
            }
            Fate::HumanAfter => {
                for (slot, _) in writes {
                    world.quotas.set(slot.clone(), Some(HUMAN));
                }
            }
        }
        Ok(writes.iter().map(|_| Ok(())).collect())
    }
}

#[async_trait]
impl Metrics for Sim {
    async fn observe(&self, _: &Policy, _: Duration) -> Observed {
        let world = self.world();
        let mut usage = Usage::default();
        for broker in 1..=3 {
            usage.scraped.insert(broker, world.now);
            for (name, demand) in &world.demand {
                let wanted = demand / 3.0;
                let rate = world.quotas.get(&slot(name)).map_or(wanted, |bound| wanted.min(bound));
                let client = Client { user: None, client_id: Some(name.clone()) };
                usage.readings.push(Reading { broker, client, rate, peak: rate, at: world.now });
            }
        }
        Observed { usage: BTreeMap::from([(KEY, usage)]), ..Observed::default() }
    }
}

#[async_trait]
impl LedgerStore for Sim {
    async fn commit(&self, changes: &[Change], entries: &[Entry]) -> Result<Head, LedgerFault> {
        let mut world = self.world();
        if world.commit_fails > 0 {
            world.commit_fails -= 1;
            return Err(LedgerFault::Unavailable("too few replicas".to_owned()));
        }
        if let Some(clock) = &world.clock {
            clock.advance(world.slow);
        }
        for change in changes {
            // What cannot be read back would be lost with the process.
            let (key, value) = change.encode().unwrap();
            let change = Change::decode(&key, value.as_deref()).unwrap();
            world.ledger.apply(change);
        }
        for entry in entries {
            let (_, head) = world.head.append("c", 1, entry.clone()).unwrap();
            world.head = head;
            world.entries.push(entry.clone());
        }
        Ok(world.head.clone())
    }

    fn lease_left(&self) -> Duration {
        self.world().lease.unwrap_or(Duration::from_secs(60))
    }

    fn ledger(&self) -> Ledger {
        self.world().ledger.clone()
    }
}

pub(super) fn policy() -> Policy {
    let seconds = Duration::from_secs;
    let rule = Rule {
        name: "greedy".to_owned(),
        select: Select::default(),
        entity: Kind::ClientId,
        key: KEY,
        measure: Measure::Total,
        enter: 10.0 * MB,
        release: 5.0 * MB,
        confirm: Confirm { k: 2, n: 3 },
        mode: Mode::Enforce,
        limit: Limit::Total(6.0 * MB),
        floor: Floor { bound: 0.5 * MB, times_baseline: None },
        hold: HoldTimes {
            minimum: seconds(20),
            duration: seconds(60),
            factor: 2,
            longest: seconds(600),
            memory: seconds(3600),
        },
        when: None,
        sentinel: None,
        burst: Burst { connections: 1, request_bytes: MB },
        owner: None,
        runbook_url: None,
    };
    Policy {
        version: "v1".to_owned(),
        rules: vec![rule],
        protected: Protected::default(),
        caps: Caps { throttles: 5, share_of_clients: 1.0, share_of_traffic: 1.0, changes_per_minute: 100 },
        evidence: Evidence {
            max_age: seconds(10),
            coverage: 1.0,
            scrape_interval: seconds(1),
            settle_scrapes: 2,
        },
        mute: seconds(10),
        sentinel_from: 1e12,
    }
}

/// Keeps how long writes of humans could have been lost.
#[derive(Debug, Default)]
pub(super) struct Windows(Mutex<Vec<Duration>>);

impl Windows {
    pub(super) fn all(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

impl Probe for Windows {
    fn reached(&self, _: Stage, _: Duration) {}

    fn unguarded(&self, took: Duration) {
        self.0.lock().unwrap().push(took);
    }
}

pub(super) struct Bench {
    pub(super) sim: Sim,
    pub(super) clock: Arc<ManualClock>,
    pub(super) engine: Engine,
    pub(super) policy: Policy,
    pub(super) windows: Arc<Windows>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let sim = Sim::default();
        let clock = Arc::new(ManualClock::at_ms(1_000_000));
        sim.world().clock = Some(Arc::clone(&clock));
        let windows = Arc::new(Windows::default());
        let engine = engine(&sim, &clock, &windows);
        Self { sim, clock, engine, policy: policy(), windows }
    }

    pub(super) async fn tick(&mut self) -> Tick {
        self.tick_at(|wall| wall).await
    }

    /// With samples of another time than the wall clock's.
    pub(super) async fn tick_at(&mut self, sampled: impl Fn(i64) -> i64) -> Tick {
        self.clock.advance(Duration::from_secs(1));
        {
            let mut world = self.sim.world();
            world.now = Timestamp(sampled(self.clock.now_ms()));
            for (ticks, ..) in &mut world.late {
                *ticks = ticks.saturating_sub(1);
            }
            let late = std::mem::take(&mut world.late);
            for (ticks, slot, to) in late {
                if ticks == 0 {
                    world.quotas.set(slot, to);
                } else {
                    world.late.push((ticks, slot, to));
                }
            }
        }
        let sim = self.sim.clone();
        self.engine.tick(&self.policy, Some(&sim), &Ledger::default(), &[]).await
    }

    /// A process dies and another one takes over: all that is in memory is lost.
    pub(super) fn restart(&mut self) {
        self.engine = engine(&self.sim, &self.clock, &self.windows);
    }
}

pub(super) fn engine(sim: &Sim, clock: &Arc<ManualClock>, windows: &Arc<Windows>) -> Engine {
    let limits = Limits {
        observe: Duration::from_secs(1),
        request: Duration::from_secs(5),
        in_flight: IN_FLIGHT,
        read_back: Duration::from_secs(2),
        cluster: Duration::from_secs(30),
    };
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let probe: Arc<dyn Probe> = Arc::<Windows>::clone(windows);
    Engine::new(Arc::new(sim.clone()), Arc::new(sim.clone()), clock, probe, limits)
}

pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(future)
}
