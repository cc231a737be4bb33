//! The enforcer: the daemon's engine and adapters, ticked as the daemon ticks them.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use daemon_kit::clock::Clock;
use quota_enforcer::adapters::ledger::{Election, Leadership, Store, as_leader, ensure_topics};
use quota_enforcer::adapters::prometheus::Prometheus;
use quota_enforcer::app::world::{Name, World};
use quota_enforcer::engine::probe::{Probe, Stage};
use quota_enforcer::engine::{Engine, Tick};
use quota_enforcer::ports::LedgerStore as _;
use quota_enforcer_core::control::Order;
use quota_enforcer_core::decide::State;
use quota_enforcer_core::entity::Entity;
use quota_enforcer_core::ledger::Ledger;
use quota_enforcer_core::policy::Policy;
use quota_enforcer_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::bed::{Bed, Scene};
use crate::board::{Acted, Board};
use crate::watch::client_id;

/// How long to wait for the office.
const OFFICE: Duration = Duration::from_secs(60);
/// How often a leader reads back what it wrote, as the daemon does.
const VERIFY: Duration = Duration::from_secs(60);
/// A share of a tick whose multiples, modulo a tick, lie evenly.
const GOLDEN: f64 = 0.618_034;

/// The leadership, which all phases share.
pub(crate) struct Office {
    world: World,
    election: Election,
    leadership: Leadership,
    clock: Arc<dyn Clock>,
}

/// Becomes leader.
pub(crate) async fn lead(bed: &Bed) -> Result<Office> {
    let second = Duration::from_secs(1);
    // What the office needs is the same in all phases.
    let settings = bed.settings("http://127.0.0.1:9", second, second)?;
    let world = World::connect(&settings, Arc::clone(&bed.clock), Name::of_command()).await?;
    for warning in ensure_topics(world.place()).await? {
        eprintln!("{warning}");
    }
    let (election, leadership) = as_leader(world.place().clone(), OFFICE).await?;
    Ok(Office { world, election, leadership, clock: Arc::clone(&bed.clock) })
}

impl Office {
    /// With an engine of its own; its end of the line for orders comes along.
    pub(crate) fn enforcer(&self, scene: &Scene, tick: Duration) -> Result<(Enforcer, Orders)> {
        let metrics = Prometheus::new(&scene.settings, Arc::clone(&self.clock))?;
        let stages = Arc::new(Stages { clock: Arc::clone(&self.clock), reached: Mutex::default() });
        let engine = Engine::new(
            Arc::new(metrics),
            self.world.quotas(),
            Arc::clone(&self.clock),
            Arc::<Stages>::clone(&stages),
            self.world.limits(),
        );
        let (orders, asked) = mpsc::channel(64);
        let enforcer = Enforcer {
            engine,
            store: self.leadership.store.clone(),
            policy: scene.settings.policy.clone(),
            lease: scene.settings.ledger.lease,
            clock: Arc::clone(&self.clock),
            stages,
            board: scene.board.clone(),
            tick,
            asked,
            said: BTreeSet::new(),
        };
        Ok((enforcer, Orders { orders, clock: Arc::clone(&self.clock) }))
    }

    /// Reads the ledger back now and then, which holds up the writer.
    pub(crate) fn verify(&self) -> impl Future<Output = Result<Infallible>> + Send + use<> {
        let store = self.leadership.store.clone();
        async move {
            loop {
                sleep(VERIFY).await;
                store.verify().await?;
            }
        }
    }

    /// Gives it up.
    pub(crate) async fn end(self) -> Result<()> {
        self.leadership.store.resign(true).await?;
        self.election.leave().await;
        Ok(())
    }
}

/// To ask the enforcer what people ask.
#[derive(Clone)]
pub(crate) struct Orders {
    orders: mpsc::Sender<Asked>,
    clock: Arc<dyn Clock>,
}

struct Asked {
    order: Order,
    answer: oneshot::Sender<Result<()>>,
}

impl Orders {
    /// Releases the client, for good.
    pub(crate) async fn exempt(&self, client: &str) -> Result<()> {
        let until = Timestamp(self.clock.now_ms()) + Duration::from_secs(86_400);
        let (answer, answered) = oneshot::channel();
        let order = Order::Exempt { entity: Entity::client_id(client), until };
        self.orders.send(Asked { order, answer }).await.context("the enforcer ended")?;
        answered.await.context("the enforcer ended")?
    }
}

/// See the module.
pub(crate) struct Enforcer {
    engine: Engine,
    store: Store,
    policy: Policy,
    lease: Duration,
    clock: Arc<dyn Clock>,
    stages: Arc<Stages>,
    board: Board,
    tick: Duration,
    asked: mpsc::Receiver<Asked>,
    /// Faults are told once.
    said: BTreeSet<String>,
}

impl Enforcer {
    /// Ticks for ever. After each run the ticks are shifted, so that runs differ in the offset between ticks and scrapes.
    pub(crate) async fn run(mut self) -> Result<Infallible> {
        let [mut ticks, mut leases] = [self.tick, self.lease / 4].map(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        leases.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shift = 0.0_f64;
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => self.tick().await?,
                _ = leases.tick() => self.renew().await?,
                Some(asked) = self.asked.recv() => {
                    self.answer(asked).await;
                    shift = (shift + GOLDEN).fract();
                    ticks.reset_after(self.tick.mul_f64(shift));
                }
            }
        }
    }

    async fn answer(&mut self, asked: Asked) {
        let ordered = self.engine.order(&self.store, &asked.order, "bench", "the run is over").await;
        // A run that gave up waits for no answer.
        drop(asked.answer.send(ordered.map(drop).map_err(anyhow::Error::new)));
    }

    async fn tick(&mut self) -> Result<()> {
        let began = self.clock.monotonic();
        self.stages.clear();
        self.renew().await?;
        let known = Ledger::default();
        let tick = self.engine.tick(&self.policy, Some(&self.store), &known, &[]).await;
        self.renew().await?;
        self.note(began, &tick);
        for fault in tick.faults.iter().filter(|fault| self.said.insert((*fault).clone())) {
            eprintln!("{fault}");
        }
        self.store.end().map_or(Ok(()), |end| Err(end.into()))
    }

    async fn renew(&self) -> Result<()> {
        if self.store.lease_left() <= self.lease.mul_f64(0.8) {
            self.store.commit(&[], &[]).await?;
        }
        Ok(())
    }

    fn note(&self, began: Duration, tick: &Tick) {
        for act in tick.outcome.acts.iter().filter(|act| act.tightens()) {
            let Some(client) = client_id(&act.hold.slot.entity) else { continue };
            self.board.note(client, |run| {
                run.acted.get_or_insert_with(|| Acted { began, reached: self.stages.reached().clone() });
            });
        }
        for verdict in &tick.outcome.verdicts {
            let Some(client) = verdict.entity.as_ref().and_then(client_id) else { continue };
            self.board.note(client, |run| {
                if !matches!(verdict.state, State::Over | State::Unknown { .. }) {
                    run.counted = run.counted.or(verdict.rates.as_ref().map(|rates| rates.at));
                }
                if run.counted.is_some() && run.acted.is_none() {
                    run.held_up.insert(format!("{}: {}", verdict.state.name(), verdict.why));
                }
            });
        }
    }
}

/// When the tick under way reached its stages.
struct Stages {
    clock: Arc<dyn Clock>,
    reached: Mutex<BTreeMap<Stage, Duration>>,
}

impl Stages {
    fn reached(&self) -> MutexGuard<'_, BTreeMap<Stage, Duration>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        self.reached().clear();
    }
}

impl Probe for Stages {
    fn reached(&self, stage: Stage, _: Duration) {
        let now = self.clock.monotonic();
        Self::reached(self).insert(stage, now);
    }
}
