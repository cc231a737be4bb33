//! The task that owns the engine: one tick after the other, and between them what people ask for. Nothing else acts.

mod restart;
mod standing;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use daemon_kit::clock::Clock;
use daemon_kit::ready;
use daemon_kit::reload::Current;
use quota_enforcer_core::control::Order;
use quota_enforcer_core::ledger::{Leader, Ledger};
use quota_enforcer_core::policy::Policy;
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::own::Own;
use crate::api::{Asked, Denied};
use crate::engine::{Engine, Tick};
use crate::metrics::Meters;
use crate::ports::{LedgerFault, LedgerStore};
use crate::spec::{Settings, Shutdown};
use crate::status::{Role, Status};
use crate::views::Seen;
use crate::views::plan::Plan;
pub use standing::Seat;

/// Where the results go.
pub struct Outlets {
    /// For the API and the metrics.
    pub status: watch::Sender<Arc<Status>>,
    /// For the API's questions.
    pub seen: watch::Sender<Option<Arc<Seen>>>,
    /// When the last tick ended, on the clock's monotonic scale.
    pub beat: watch::Sender<Duration>,
    /// Counters.
    pub meters: Meters,
}

/// What must have answered once before the process is ready.
pub struct Waiting {
    /// The brokers.
    pub kafka: Option<ready::Handle>,
    /// Prometheus.
    pub prometheus: Option<ready::Handle>,
}

/// See the module.
pub struct Keeper {
    engine: Engine,
    clock: Arc<dyn Clock>,
    config: Current<Settings>,
    seat: watch::Receiver<Seat>,
    known: watch::Receiver<Ledger>,
    orders: mpsc::Receiver<Asked>,
    plans: mpsc::Receiver<Asked>,
    outlets: Outlets,
    waiting: Waiting,
    own: Own,
    policy: Policy,
    /// As it was at the start: a changed one wants a restart.
    lease: Duration,
    /// Why the last tick might tighten nothing.
    blockers: Vec<String>,
    last: Option<Arc<Seen>>,
    notes: Vec<String>,
    said: BTreeSet<String>,
}

/// What a keeper is made of.
pub struct Parts {
    /// It.
    pub engine: Engine,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The configuration in force.
    pub config: Current<Settings>,
    /// What this process may do.
    pub seat: watch::Receiver<Seat>,
    /// The ledger as it was read last, while this process does not lead.
    pub known: watch::Receiver<Ledger>,
    /// What people ask for.
    pub orders: mpsc::Receiver<Asked>,
    /// What people want to know first.
    pub plans: mpsc::Receiver<Asked>,
    /// Where the results go.
    pub outlets: Outlets,
    /// What must have answered once.
    pub waiting: Waiting,
    /// As whom this process comes to the brokers.
    pub own: Own,
}

impl Keeper {
    /// Ready to run.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { engine, clock, config, seat, known, orders, plans, outlets, waiting, own } = parts;
        let policy = own.protect(&config.borrow().value.policy);
        let lease = config.borrow().value.ledger.lease;
        Self {
            engine,
            clock,
            config,
            seat,
            known,
            orders,
            plans,
            outlets,
            waiting,
            own,
            policy,
            lease,
            blockers: Vec::new(),
            last: None,
            notes: Vec::new(),
            said: BTreeSet::new(),
        }
    }

    /// Runs until it is cancelled; then, as leader, does what the configuration says of the end.
    pub async fn run(mut self, cancel: CancellationToken) {
        let started = Arc::clone(&self.config.borrow_and_update());
        let mut ticks = ticks(started.value.tick);
        let mut leases = self::ticks(started.value.ledger.lease / 4);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Ok(()) = self.seat.changed() => self.seated().await,
                Ok(()) = self.config.changed() => self.configured(&started.value, &mut ticks),
                // Before what people ask, however much that is; and one of them is heard after each, however long it took.
                _ = ticks.tick() => {
                    self.tick().await;
                    if let Ok(asked) = self.orders.try_recv().or_else(|_| self.plans.try_recv()) {
                        self.answer(asked).await;
                    }
                }
                _ = leases.tick() => self.keep().await,
                Some(asked) = self.orders.recv() => self.answer(asked).await,
                Some(asked) = self.plans.recv() => self.answer(asked).await,
            }
        }
        self.end().await;
    }

    /// Another role.
    async fn seated(&mut self) {
        let seat = self.seat.borrow_and_update().clone();
        tracing::info!(role = ?seat.role(self.clock.monotonic()), "role");
        // What was said before was said in another role.
        self.tick().await;
    }

    fn configured(&mut self, started: &Settings, ticks: &mut Interval) {
        let loaded = Arc::clone(&self.config.borrow_and_update());
        let settings = &loaded.value;
        self.policy = self.own.protect(&settings.policy);
        self.notes = restart::needs_restart(started, settings);
        for note in &self.notes {
            tracing::warn!("{note}");
        }
        if ticks.period() != settings.tick {
            *ticks = self::ticks(settings.tick);
        }
        tracing::info!(
            policy = settings.policy.version,
            rules = settings.policy.rules.len(),
            "policy in force"
        );
    }

    async fn tick(&mut self) {
        let seat = self.seat.borrow().clone();
        let mut blockers: Vec<String> = seat.blocker(self.clock.monotonic()).into_iter().collect();
        let mut faults = Vec::new();
        let mut store = seat.office(self.clock.monotonic());
        if let Seat::Office { store: own, .. } = &seat
            && let Err(fault) = self.renew(own.as_ref()).await
        {
            let why = format!(
                "the ledger cannot be written in time: {fault}; nothing new is enforced, what is held is kept"
            );
            tracing::error!("{why}");
            blockers.push(why.clone());
            faults.push(why);
            store = None;
        }
        let known = self.ledger();
        let mut tick = self.engine.tick(&self.policy, store.as_deref(), &known, &blockers).await;
        self.blockers = blockers;
        tick.ledger_failed |= !faults.is_empty();
        tick.faults.extend(faults);
        self.keep().await;
        self.report(&tick);
        self.ready(&tick);
        self.outlets.meters.count(&tick);
        let ledger = self.ledger();
        self.last = Some(Arc::new(Seen { tick, ledger, policy: self.policy.clone() }));
        self.show();
        self.outlets.beat.send_replace(self.clock.monotonic());
    }

    /// Between ticks, and after one that took long. A failure is said by the next tick.
    async fn keep(&self) {
        let seat = self.seat.borrow().clone();
        if let Seat::Office { store, .. } = seat
            && let Err(fault) = self.renew(store.as_ref()).await
        {
            tracing::debug!(error = %fault, "the lease is not renewed");
        }
    }

    /// Keeps most of the lease left, so that a tick that takes long does not lose it.
    async fn renew(&self, store: &dyn LedgerStore) -> Result<(), LedgerFault> {
        let lease = self.lease;
        if store.lease_left() > lease.mul_f64(0.8) {
            return Ok(());
        }
        store.commit(&[], &[]).await.map(drop)
    }

    /// The facts as they are known here.
    fn ledger(&self) -> Ledger {
        match &*self.seat.borrow() {
            Seat::Office { store, .. } => store.ledger(),
            _ => self.known.borrow().clone(),
        }
    }

    /// Puts what is known now where others see it.
    fn show(&mut self) {
        let now = self.clock.monotonic();
        let seat = self.seat.borrow().clone();
        let ledger = self.ledger();
        let mut status = match &self.last {
            Some(seen) => Status::after(&seen.tick, &ledger, &self.policy),
            None => Status {
                policy: self.policy.version.clone(),
                leader: ledger.leader.clone(),
                ..Status::default()
            },
        };
        status.role = seat.role(now);
        // Where Kafka's own quotas limit nothing, nobody enforces.
        let callback = self.last.as_ref().is_some_and(|seen| seen.tick.cluster.custom_callback.is_some());
        if callback && status.role != Role::Starting {
            status.role = Role::Refused;
        }
        if let Seat::Office { store, epoch, .. } = &seat {
            status.epoch = Some(*epoch);
            status.lease_left_ms = u64::try_from(store.lease_left().as_millis()).unwrap_or(u64::MAX);
        }
        status.notes.clone_from(&self.notes);
        self.outlets.status.send_replace(Arc::new(status));
        if let Some(seen) = &mut self.last {
            if seen.ledger != ledger {
                *seen = Arc::new(Seen { ledger, ..(**seen).clone() });
            }
            self.outlets.seen.send_replace(Some(Arc::clone(seen)));
        }
    }

    fn ready(&mut self, tick: &Tick) {
        if tick.observation.snapshot.is_some() && !tick.cluster.brokers.is_empty() {
            self.waiting.kafka = None;
        }
        if !tick.observation.usage.is_empty() || self.policy.rules.is_empty() {
            self.waiting.prometheus = None;
        }
    }

    /// Says what is new; what goes on from tick to tick is in the status.
    fn report(&mut self, tick: &Tick) {
        for done in &tick.done {
            tracing::info!(event = done.event.name(), slot = %done.slot, to = done.to, "{}", done.why);
        }
        let troubles: BTreeSet<String> =
            tick.faults.iter().chain(&tick.observation.blockers).cloned().collect();
        for trouble in troubles.difference(&self.said) {
            tracing::warn!("{trouble}");
        }
        for over in self.said.difference(&troubles) {
            tracing::info!("no longer: {over}");
        }
        self.said = troubles;
    }

    async fn answer(&mut self, asked: Asked) {
        match asked {
            Asked::Plan { answer } if answer.is_closed() => {}
            Asked::Plan { answer } => {
                let known = self.ledger();
                let tick = self.engine.preview(&self.policy, &known, &self.blockers).await;
                // Who went away needs no answer; the same below.
                drop(answer.send(Plan::of(&tick, &self.policy.version, true)));
            }
            Asked::Order { answer, .. } if answer.is_closed() => {}
            Asked::Order { order, by, reason, answer } => {
                let office = self.seat.borrow().office(self.clock.monotonic());
                let result = match office {
                    Some(store) => {
                        self.engine.order(store.as_ref(), &order, &by, &reason).await.map_err(Denied::from)
                    }
                    None => Err(self.not_leader()),
                };
                match &result {
                    Ok(ordered) => {
                        tracing::info!(?order, by, reason, said = ordered.said.join("; "), "ordered")
                    }
                    Err(denied) => tracing::warn!(?order, by, reason, %denied, "not carried out"),
                }
                self.show();
                drop(answer.send(result));
            }
        }
    }

    fn not_leader(&self) -> Denied {
        let seat = self.seat.borrow();
        let leader = self.ledger().leader.filter(|_| matches!(*seat, Seat::Standby));
        let why = match &leader {
            Some(Leader { instance, api: Some(api), .. }) => format!("{instance} leads: ask it at {api}"),
            Some(Leader { instance, api: None, .. }) => format!("{instance} leads: ask it, with --api"),
            None => seat
                .blocker(self.clock.monotonic())
                .unwrap_or_else(|| "nobody leads yet: ask again".to_owned()),
        };
        Denied::NotLeader { why, leader }
    }

    async fn end(&mut self) {
        if self.config.borrow().value.shutdown != Shutdown::Release {
            return;
        }
        let office = self.seat.borrow().office(self.clock.monotonic());
        let Some(store) = office else { return };
        let reason = "the process ends, and the configuration says `shutdown: release`";
        match self.engine.order(store.as_ref(), &Order::ReleaseAll, "shutdown", reason).await {
            Ok(ordered) => {
                for text in ordered.said.iter().chain(&ordered.faults) {
                    tracing::info!("at the end: {text}");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the quotas of ours are not released: they stay until they expire")
            }
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
