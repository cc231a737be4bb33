//! The engine against a cluster in memory that fails, answers late, loses answers and has humans in it. What real brokers
//! do is tested against real brokers; here every order of events is tried.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use daemon_kit::testing::ManualClock;
use proptest::prelude::*;
use quota_enforcer_core::audit::{Entry, Head};
use quota_enforcer_core::entity::{Client, Kind};
use quota_enforcer_core::ledger::Change;
use quota_enforcer_core::policy::{
    Burst, Caps, Confirm, Evidence, Floor, HoldTimes, Limit, Measure, Mode, Protected, Rule, Select,
};
use quota_enforcer_core::quota::{Key, Slot, Snapshot, same};
use quota_enforcer_core::usage::{Reading, Usage};

use super::*;
use crate::ports::{BrokerId, BrokerInfo};

const KEY: Key = Key::ProducerByteRate;
const MB: f64 = 1e6;
const HUMAN: f64 = 7_654_321.0;
/// The broker that may be cut off from the controller and tell what was.
const LAGGARD: BrokerId = 1;
const IN_FLIGHT: Duration = Duration::from_secs(40);

/// What happens to one alteration.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Applied,
    Refused,
    NotSent,
    AnswerLost,
    RequestLost,
    /// Applied after so many ticks, without an answer.
    Late(u8),
    /// A human writes between the write and its reading back.
    HumanAfter,
}

#[derive(Debug, Default)]
struct World {
    quotas: Snapshot,
    ledger: Ledger,
    head: Head,
    demand: BTreeMap<String, f64>,
    now: Timestamp,
    fates: Vec<Fate>,
    late: Vec<(u8, Slot, Option<f64>)>,
    commit_fails: u8,
    /// What the laggard tells, while it lags.
    lag: Option<Snapshot>,
    /// The laggard does not answer.
    down: bool,
    /// How long the ledger takes to be written.
    slow: Duration,
    clock: Option<Arc<ManualClock>>,
    /// What is left of the lease, when it is not long.
    lease: Option<Duration>,
    /// Values as each broker told them last, to hold each write against.
    seen: BTreeMap<BrokerId, Snapshot>,
    /// A value that a human set and that was visible when we wrote over it.
    overwritten: Vec<Slot>,
}

impl World {
    fn told_by(&self, broker: BrokerId) -> Snapshot {
        self.lag.clone().filter(|_| broker == LAGGARD).unwrap_or_else(|| self.quotas.clone())
    }
}

#[derive(Clone, Default)]
struct Sim(Arc<Mutex<World>>);

impl Sim {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

fn slot(name: &str) -> Slot {
    Slot { entity: quota_enforcer_core::entity::Entity::client_id(name), key: KEY }
}

#[async_trait]
impl Quotas for Sim {
    async fn cluster(&self) -> Result<Cluster, QuotaFault> {
        let info = BrokerInfo { windows: 11, window: Duration::from_secs(1) };
        let brokers = (1..=3).map(|id| (id, info)).collect();
        Ok(Cluster { id: "c".to_owned(), brokers, ..Cluster::default() })
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

fn policy() -> Policy {
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

struct Bench {
    sim: Sim,
    clock: Arc<ManualClock>,
    engine: Engine,
    policy: Policy,
}

impl Bench {
    fn new() -> Self {
        let sim = Sim::default();
        let clock = Arc::new(ManualClock::at_ms(1_000_000));
        sim.world().clock = Some(Arc::clone(&clock));
        let engine = engine(&sim, &clock);
        Self { sim, clock, engine, policy: policy() }
    }

    async fn tick(&mut self) -> Tick {
        self.clock.advance(Duration::from_secs(1));
        {
            let mut world = self.sim.world();
            world.now = Timestamp(self.clock.now_ms());
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
    fn restart(&mut self) {
        self.engine = engine(&self.sim, &self.clock);
    }
}

fn engine(sim: &Sim, clock: &Arc<ManualClock>) -> Engine {
    let limits = Limits {
        observe: Duration::from_secs(1),
        request: Duration::from_secs(5),
        in_flight: IN_FLIGHT,
        read_back: Duration::from_secs(2),
        cluster: Duration::from_secs(30),
    };
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    Engine::new(Arc::new(sim.clone()), Arc::new(sim.clone()), clock, Arc::new(probe::Silent), limits)
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(future)
}

#[test]
fn a_throttle_comes_and_goes_with_its_records() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        for _ in 0..60 {
            assert!(bench.tick().await.faults.is_empty());
        }
        assert!(bench.sim.world().quotas.get(&slot("wild")).is_some());
        bench.sim.world().demand.insert("wild".to_owned(), 1.0 * MB);
        for _ in 0..60 {
            bench.tick().await;
        }
        let world = bench.sim.world();
        assert!(world.quotas.is_empty() && world.ledger.holds.is_empty());
        assert_eq!(world.ledger.offences.len(), 1);
        assert!(world.head.seq >= 6, "{:?}", world.head);
    });
}

#[test]
fn without_the_ledger_nothing_is_written_and_nothing_is_lost() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        bench.sim.world().commit_fails = u8::MAX;
        for _ in 0..60 {
            bench.tick().await;
        }
        assert!(bench.sim.world().quotas.is_empty());
        let tick = bench.tick().await;
        assert!(
            tick.ledger_failed && tick.faults[0].contains("nothing new is enforced"),
            "{:?}",
            tick.faults
        );
    });
}

#[test]
fn what_was_decided_too_long_ago_tightens_nothing_and_that_is_said() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        bench.sim.world().slow = Duration::from_millis(2_500);
        for _ in 0..20 {
            bench.tick().await;
        }
        let tick = bench.tick().await;
        assert!(tick.ledger_failed && tick.faults[0].contains("went by since"), "{tick:?}");
        assert!(bench.sim.world().quotas.is_empty());
        bench.sim.world().slow = Duration::ZERO;
        while bench.sim.world().quotas.is_empty() {
            bench.tick().await;
        }
        // What is given back is given back however long it takes.
        bench.sim.world().slow = Duration::from_millis(2_500);
        let sim = bench.sim.clone();
        let order = Order::Release { entity: slot("wild").entity, key: None };
        bench.engine.order(&sim, &order, "ops", "enough").await.unwrap();
        assert!(sim.world().quotas.is_empty());
    });
}

#[test]
fn at_the_end_of_the_lease_nothing_is_written() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        bench.sim.world().lease = Some(Duration::from_secs(4));
        for _ in 0..20 {
            bench.tick().await;
        }
        assert!(bench.sim.world().quotas.is_empty());
        assert!(bench.tick().await.faults[0].contains("the lease ends too soon"));
    });
}

#[test]
fn a_clock_that_jumped_ends_nothing_early() {
    block_on(async {
        let mut bench = Bench::new();
        bench.tick().await;
        bench.clock.set_wall_ms(bench.clock.now_ms() + 3_600_000);
        let sim = bench.sim.clone();
        let exempt = Order::Exempt { entity: slot("wild").entity, until: Timestamp(bench.clock.now_ms()) };
        for order in [Order::Reap, exempt] {
            let refused = bench.engine.order(&sim, &order, "ops", "x").await;
            assert!(matches!(refused, Err(OrderError::Clock(_))), "{refused:?}");
        }
        bench.engine.order(&sim, &Order::Pause, "ops", "x").await.unwrap();
        assert!(sim.world().ledger.pause.is_some());
    });
}

#[test]
fn one_broker_of_three_that_does_not_answer_keeps_nothing_from_being_given_back() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        while bench.sim.world().quotas.is_empty() {
            bench.tick().await;
        }
        bench.sim.world().down = true;
        bench.sim.world().demand.insert("wild".to_owned(), MB);
        for _ in 0..120 {
            bench.tick().await;
        }
        assert!(bench.sim.world().quotas.is_empty());
        assert!(bench.sim.world().ledger.holds.is_empty());
    });
}

#[test]
fn orders_are_carried_out_and_recorded() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        while bench.sim.world().quotas.is_empty() {
            bench.tick().await;
        }
        let sim = bench.sim.clone();
        let entity = slot("wild").entity;
        let until = bench.sim.world().now + Duration::from_secs(100);
        let order = Order::Exempt { entity: entity.clone(), until };
        let ordered = bench.engine.order(&sim, &order, "ops", "backfill").await.unwrap();
        assert_eq!(ordered.done[0].event, quota_enforcer_core::audit::Event::Released);
        assert!(sim.world().quotas.is_empty());
        for _ in 0..50 {
            bench.tick().await;
            assert!(sim.world().quotas.is_empty(), "it is exempted");
        }
        let again = bench.engine.order(&sim, &Order::Release { entity, key: None }, "ops", "x").await;
        assert!(matches!(again, Err(OrderError::Refused(Refused::NotHeld(_)))));
        while sim.world().quotas.is_empty() {
            bench.tick().await;
        }
        assert!(sim.world().ledger.exemptions.is_empty(), "it ran out");
    });
}

#[derive(Clone, Debug)]
enum Step {
    Ticks(u8),
    Fate(Fate),
    Human(u8, bool),
    CommitFails(u8),
    Restart,
    Demand(u8, bool),
    Lag(bool),
    Down(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        Just(Fate::Refused),
        Just(Fate::NotSent),
        Just(Fate::AnswerLost),
        Just(Fate::RequestLost),
        (1..30u8).prop_map(Fate::Late),
        Just(Fate::HumanAfter),
    ];
    prop_oneof![
        4 => (1..30u8).prop_map(Step::Ticks),
        3 => fate.prop_map(Step::Fate),
        1 => (0..3u8, any::<bool>()).prop_map(|(who, set)| Step::Human(who, set)),
        1 => (1..4u8).prop_map(Step::CommitFails),
        1 => Just(Step::Restart),
        1 => (0..3u8, any::<bool>()).prop_map(|(who, wild)| Step::Demand(who, wild)),
        1 => any::<bool>().prop_map(Step::Lag),
        1 => any::<bool>().prop_map(Step::Down),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever fails, and whoever interferes: no value of a human that we could see is overwritten, and when all is quiet
    /// again nothing of ours is left that nobody takes away.
    #[test]
    fn nothing_of_ours_stays_and_nothing_of_others_goes(steps in prop::collection::vec(step(), 1..40)) {
        block_on(async {
            let mut bench = Bench::new();
            let name = |who: u8| format!("client-{who}");
            for step in steps {
                match step {
                    Step::Ticks(ticks) => {
                        for _ in 0..ticks {
                            bench.tick().await;
                        }
                    }
                    Step::Fate(fate) => bench.sim.world().fates.push(fate),
                    Step::Human(who, set) => {
                        bench.sim.world().quotas.set(slot(&name(who)), set.then_some(HUMAN));
                    }
                    Step::CommitFails(times) => bench.sim.world().commit_fails = times,
                    Step::Restart => bench.restart(),
                    Step::Demand(who, wild) => {
                        let rate = if wild { 20.0 * MB } else { MB };
                        bench.sim.world().demand.insert(name(who), rate);
                    }
                    Step::Down(down) => bench.sim.world().down = down,
                    Step::Lag(lags) => {
                        let mut world = bench.sim.world();
                        world.lag = lags.then(|| world.quotas.clone());
                    }
                }
            }
            // Quiet again; longer than any hold lasts.
            bench.sim.world().fates.clear();
            bench.sim.world().lag = None;
            bench.sim.world().down = false;
            bench.sim.world().commit_fails = 0;
            bench.sim.world().demand.values_mut().for_each(|rate| *rate = MB);
            for _ in 0..800 {
                bench.tick().await;
            }
            let world = bench.sim.world();
            prop_assert!(world.overwritten.is_empty(), "{:?}", world.overwritten);
            prop_assert!(world.ledger.holds.is_empty(), "{:?}", world.ledger.holds);
            let left: BTreeSet<String> =
                world.quotas.iter().filter(|(_, value)| *value != HUMAN).map(|(slot, _)| slot.to_string()).collect();
            prop_assert!(left.is_empty(), "{left:?}");
            Ok(())
        })?;
    }
}
