//! Who may do what, and who hears of it. Brokers, Prometheus and ledger are played here.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use daemon_kit::ready::Readiness;
use daemon_kit::reload::Loaded;
use daemon_kit::source::Source;
use daemon_kit::testing::ManualClock;
use prometheus_client::registry::Registry;
use quota_enforcer_core::audit::{Entry, Event, Head};
use quota_enforcer_core::entity::Entity;
use quota_enforcer_core::ledger::{Change, Fact, Hold, Phase, Purpose};
use quota_enforcer_core::quota::{Key, Slot, Snapshot};
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::Usage;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::engine::probe::Silent;
use crate::engine::{Limits, Ordered};
use crate::ports::{BrokerId, BrokerInfo, Cluster, Metrics, Observed, QuotaFault, Quotas};

const CONFIG: &str = "\
kafka: {bootstrap.servers: '127.0.0.1:1'}
prometheus: {url: 'http://127.0.0.1:1'}
protected: {users: []}
rules:
  - {name: greedy, mode: enforce, select: {users: ['*']}, entity: user, measure: produce, enter: 40MB/s, release: 20MB/s, limit: 30MB/s, burst: {connections: 1}}
";

/// Brokers, Prometheus and ledger of a small world.
struct World {
    clock: Arc<ManualClock>,
    quotas: Mutex<Snapshot>,
    cluster: Mutex<Option<Cluster>>,
    measured: AtomicBool,
    ledger: Mutex<Ledger>,
    entries: Mutex<Vec<Entry>>,
    writable: AtomicBool,
    renewed: Mutex<Duration>,
}

const LEASE: Duration = Duration::from_secs(15);

#[async_trait]
impl Quotas for World {
    async fn cluster(&self) -> Result<Cluster, QuotaFault> {
        self.cluster.lock().unwrap().clone().ok_or_else(|| QuotaFault::Failed("no broker answers".to_owned()))
    }

    async fn snapshot(&self) -> Result<Snapshot, QuotaFault> {
        Ok(self.quotas.lock().unwrap().clone())
    }

    async fn told_by(&self, _: BrokerId, _: &[Slot]) -> Result<Snapshot, QuotaFault> {
        self.snapshot().await
    }

    async fn alter(
        &self,
        writes: &[(Slot, Option<f64>)],
        validate_only: bool,
    ) -> Result<Vec<Result<(), String>>, QuotaFault> {
        for (slot, to) in writes.iter().filter(|_| !validate_only) {
            self.quotas.lock().unwrap().set(slot.clone(), *to);
        }
        Ok(writes.iter().map(|_| Ok(())).collect())
    }
}

#[async_trait]
impl Metrics for World {
    /// A reading takes a second.
    async fn observe(&self, _: &Policy, _: Duration) -> Observed {
        self.clock.advance(Duration::from_secs(1));
        let mut observed = Observed::default();
        if self.measured.load(Ordering::Relaxed) {
            observed.usage.insert(Key::ProducerByteRate, Usage::default());
        }
        observed
    }
}

#[async_trait]
impl LedgerStore for World {
    async fn commit(&self, changes: &[Change], entries: &[Entry]) -> Result<Head, LedgerFault> {
        if !self.writable.load(Ordering::Relaxed) {
            return Err(LedgerFault::Unavailable("no answer within 5 s".to_owned()));
        }
        changes.iter().cloned().for_each(|change| self.ledger.lock().unwrap().apply(change));
        self.entries.lock().unwrap().extend(entries.iter().cloned());
        *self.renewed.lock().unwrap() = self.clock.monotonic();
        Ok(Head::default())
    }

    fn lease_left(&self) -> Duration {
        LEASE.saturating_sub(self.clock.monotonic().saturating_sub(*self.renewed.lock().unwrap()))
    }

    fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap().clone()
    }
}

fn settings(change: &str) -> Settings {
    let loaded = crate::spec::load(&Source::new("quota-enforcer.yaml", format!("{CONFIG}{change}")));
    loaded.map_err(|errors| errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>()).unwrap().0
}

fn loaded(value: Settings) -> Arc<Loaded<Settings>> {
    Arc::new(Loaded { value, hash: String::new(), generation: 1, loaded_at_ms: 0 })
}

struct Bench {
    world: Arc<World>,
    readiness: Readiness,
    config: watch::Sender<Arc<Loaded<Settings>>>,
    seat: watch::Sender<Seat>,
    _known: watch::Sender<Ledger>,
    orders: mpsc::Sender<Asked>,
    status: watch::Receiver<Arc<Status>>,
    cancel: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Bench {
    fn start(settings: Settings, leader: Option<Leader>) -> Self {
        let clock = Arc::new(ManualClock::at_ms(1_700_000_000_000));
        let cluster = Cluster {
            id: "lkc-1".to_owned(),
            brokers: [(1, BrokerInfo { windows: 11, window: Duration::from_secs(1) })].into(),
            ..Cluster::default()
        };
        let world = Arc::new(World {
            clock: Arc::clone(&clock),
            quotas: Mutex::default(),
            cluster: Mutex::new(Some(cluster)),
            measured: AtomicBool::new(true),
            ledger: Mutex::default(),
            entries: Mutex::default(),
            writable: AtomicBool::new(true),
            renewed: Mutex::default(),
        });
        let limits = Limits {
            observe: Duration::from_secs(5),
            request: Duration::from_secs(2),
            in_flight: Duration::from_secs(17),
            read_back: Duration::from_secs(2),
            cluster: Duration::ZERO,
        };
        let (status, statuses) = watch::channel(Arc::default());
        let (config, current) = watch::channel(loaded(settings));
        let (seat, seats) = watch::channel(Seat::Joining { fault: None });
        let (known, knowns) = watch::channel(Ledger { leader, ..Ledger::default() });
        let (orders, asked) = mpsc::channel(8);
        let readiness = Readiness::new();
        let meters = Meters::register(&mut Registry::default(), statuses.clone());
        let clock: Arc<dyn Clock> = clock;
        let keeper = Keeper::new(Parts {
            engine: Engine::new(
                Arc::<World>::clone(&world),
                Arc::<World>::clone(&world),
                Arc::clone(&clock),
                Arc::new(Silent),
                limits,
            ),
            clock,
            config: current,
            seat: seats,
            known: knowns,
            orders: asked,
            plans: mpsc::channel(1).1,
            outlets: Outlets {
                status,
                seen: watch::channel(None).0,
                beat: watch::channel(Duration::ZERO).0,
                meters,
            },
            waiting: Waiting {
                kafka: Some(readiness.handle("kafka")),
                prometheus: Some(readiness.handle("prometheus")),
            },
            own: Own { user: Some("enforcer".to_owned()), client_id: "rdkafka".to_owned() },
        });
        let cancel = CancellationToken::new();
        let runs = keeper.run(cancel.clone());
        #[allow(clippy::disallowed_methods, reason = "the test keeps the handle")]
        let keeper = tokio::spawn(runs);
        Self { world, readiness, config, seat, _known: known, orders, status: statuses, cancel, keeper }
    }

    /// Waits until a status is as it should be.
    async fn until(&mut self, what: impl Fn(&Status) -> bool) -> Arc<Status> {
        let wait = self.status.wait_for(|status| what(status));
        let found = tokio::time::timeout(Duration::from_secs(600), wait)
            .await
            .map(|found| found.map(|found| Arc::clone(&found)));
        match found {
            Ok(Ok(status)) => status,
            _ => panic!("never: {:#?}", self.status.borrow()),
        }
    }

    fn lead(&self, act_in: Duration) {
        let act_from = self.world.clock.monotonic() + act_in;
        let store: Arc<dyn LedgerStore> = Arc::<World>::clone(&self.world);
        self.seat.send_replace(Seat::Office { store, epoch: 7, act_from });
    }

    async fn order(&self, order: Order) -> Result<Ordered, Denied> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked::Order { order, by: "ops".to_owned(), reason: "test".to_owned(), answer };
        self.orders.send(asked).await.unwrap();
        answered.await.unwrap()
    }

    async fn end(self) -> Arc<World> {
        self.cancel.cancel();
        self.keeper.await.unwrap();
        self.world
    }
}

fn leader(api: Option<&str>) -> Leader {
    Leader {
        cluster: "lkc-1".to_owned(),
        epoch: 6,
        instance: "node-b".to_owned(),
        since: Timestamp(0),
        lease_ms: 15_000,
        api: api.map(str::to_owned),
    }
}

/// A quota of ours of 5 MB/s, in the ledger and at the brokers.
fn held(world: &World) -> Slot {
    let slot = Slot { entity: Entity::user("wild"), key: Key::ProducerByteRate };
    let now = Timestamp(world.clock.now_ms());
    let hold = Hold {
        ours: Some(5e6),
        intent: None,
        phase: Phase::Holding,
        caught_at_rate: 5e7,
        earliest: now + Duration::from_secs(600),
        until: now + Duration::from_secs(600),
        expires: now + Duration::from_secs(3_600),
        written: Some(now),
        ..Hold::begun(slot.clone(), Purpose::Throttle, "greedy", 5e6, now)
    };
    world.ledger.lock().unwrap().apply(Change::Put(Fact::Hold(hold)));
    world.quotas.lock().unwrap().set(slot.clone(), Some(5e6));
    slot
}

#[tokio::test(start_paused = true)]
async fn only_a_leader_carries_orders_out_and_others_say_who_leads() {
    let mut bench = Bench::start(settings(""), Some(leader(Some("http://node-b:9620"))));
    bench.until(|status| !status.cluster.is_empty()).await;
    let why = bench.order(Order::Pause).await.unwrap_err().to_string();
    assert_eq!(why, "this process has not joined the others yet");

    bench.seat.send_replace(Seat::Standby);
    let status = bench.until(|status| status.role == Role::Standby).await;
    assert_eq!(status.leader, Some(leader(Some("http://node-b:9620"))));
    match bench.order(Order::Pause).await.unwrap_err() {
        Denied::NotLeader { why, leader } => {
            assert_eq!(why, "node-b leads: ask it at http://node-b:9620");
            assert_eq!(leader.unwrap().instance, "node-b");
        }
        other => panic!("{other}"),
    }

    bench.seat.send_replace(Seat::Refused("another ledger is claimed".to_owned()));
    let status = bench.until(|status| status.role == Role::Refused).await;
    assert!(status.blockers.iter().any(|why| why.ends_with("another ledger is claimed")), "{status:?}");
    assert!(bench.order(Order::Pause).await.unwrap_err().to_string().contains("another ledger is claimed"));

    bench.lead(Duration::ZERO);
    bench.until(|status| status.role == Role::Leader).await;
    assert!(bench.order(Order::Pause).await.unwrap().said[0].starts_with("paused"));
    let status = bench.until(|status| status.pause.is_some()).await;
    assert_eq!((status.epoch, status.pause.as_ref().map(|pause| pause.by.as_str())), (Some(7), Some("ops")));
    assert!(matches!(bench.order(Order::Pause).await.unwrap_err(), Denied::Order(_)));
    let world = bench.end().await;
    assert_eq!(
        world.entries.lock().unwrap().iter().map(|entry| entry.event).collect::<Vec<_>>(),
        [Event::Paused]
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_keeps_its_lease_and_waits_until_it_may_act() {
    let mut bench = Bench::start(settings(""), None);
    bench.lead(Duration::from_secs(40));
    bench.until(|status| status.role == Role::Taking && !status.blockers.is_empty()).await;
    let why = bench.order(Order::Pause).await.unwrap_err().to_string();
    assert!(why.starts_with("this process leads in"), "{why}");
    assert!(bench.world.entries.lock().unwrap().is_empty());
    let status = bench.until(|status| status.role == Role::Leader && status.blockers.is_empty()).await;
    assert!(status.lease_left_ms > 0);
    assert!(bench.world.clock.monotonic() >= Duration::from_secs(40));
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_ledger_that_takes_writes_nothing_new_is_enforced_and_that_is_said() {
    let mut bench = Bench::start(settings(""), None);
    bench.lead(Duration::ZERO);
    let slot = held(&bench.world);
    bench.until(|status| status.role == Role::Leader && status.holds.len() == 1).await;
    bench.world.writable.store(false, Ordering::Relaxed);
    let said = |status: &Status| status.faults.iter().any(|fault| fault.contains("what is held is kept"));
    let status = bench.until(said).await;
    assert!(status.blockers.iter().any(|why| why.contains("nothing new is enforced")), "{status:?}");
    assert_eq!(bench.world.quotas.lock().unwrap().get(&slot), Some(5e6));
    assert!(matches!(bench.order(Order::ReleaseAll).await, Err(Denied::Order(_))));
    assert_eq!(bench.world.quotas.lock().unwrap().get(&slot), Some(5e6));

    bench.world.writable.store(true, Ordering::Relaxed);
    bench.until(|status| status.faults.is_empty()).await;
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn rules_are_swapped_and_connections_want_a_restart() {
    let mut bench = Bench::start(settings(""), None);
    let before = bench.until(|status| !status.cluster.is_empty()).await.policy.clone();
    bench.config.send_replace(loaded(settings("tick: 3s\nledger: {topic: other}\n")));
    let status = bench.until(|status| status.policy != before && !status.notes.is_empty()).await;
    assert_eq!(status.notes, ["`ledger` has changed in the file: restart to use it"]);
    bench.config.send_replace(loaded(settings("tick: 3s\n")));
    bench.until(|status| status.notes.is_empty()).await;
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_releases_what_is_held_if_the_configuration_says_so() {
    for (shutdown, stands) in [("hold", Some(5e6)), ("release", None)] {
        let mut bench = Bench::start(settings(&format!("shutdown: {shutdown}\n")), None);
        let slot = held(&bench.world);
        bench.lead(Duration::ZERO);
        bench.until(|status| status.role == Role::Leader && status.holds.len() == 1).await;
        let world = bench.end().await;
        assert_eq!(world.quotas.lock().unwrap().get(&slot), stands, "{shutdown}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_when_kafka_and_prometheus_have_answered() {
    let mut bench = Bench::start(settings(""), None);
    let cluster = bench.world.cluster.lock().unwrap().take();
    bench.world.measured.store(false, Ordering::Relaxed);
    bench.until(|status| status.blockers.iter().any(|why| why.contains("no broker answers"))).await;
    assert_eq!(bench.readiness.report().missing, ["waiting for kafka", "waiting for prometheus"]);
    *bench.world.cluster.lock().unwrap() = cluster;
    bench.until(|status| status.brokers == 1).await;
    assert_eq!(bench.readiness.report().missing, ["waiting for prometheus"]);
    bench.world.measured.store(true, Ordering::Relaxed);
    bench.readiness.ready().await;
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_enforces_where_kafkas_own_quotas_limit_nothing() {
    let mut bench = Bench::start(settings(""), None);
    bench.lead(Duration::ZERO);
    bench.until(|status| status.role == Role::Leader).await;
    bench.world.cluster.lock().unwrap().as_mut().unwrap().custom_callback =
        Some("com.example.Quotas".to_owned());
    let status = bench.until(|status| status.role == Role::Refused && !status.blockers.is_empty()).await;
    assert!(status.blockers[0].contains("com.example.Quotas"), "{status:?}");
    bench.end().await;
}

#[test]
fn the_enforcer_itself_is_protected() {
    let own = Own { user: Some("enforcer".to_owned()), client_id: "rdkafka".to_owned() };
    let policy = own.protect(&settings("").policy);
    for entity in [Entity::user("enforcer"), Entity::client_id("rdkafka")] {
        assert!(policy.protected.find(&entity).is_some(), "{entity}");
    }
    assert_eq!(policy.protected.find(&Entity::user("alice")), None);
}
