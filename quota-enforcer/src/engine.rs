//! The loop: read the world, decide, act, record. It owns the memory between ticks and knows ports, not adapters.

mod act;
mod backoff;
mod look;
pub mod probe;
mod trusted_time;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daemon_kit::clock::Clock;
use quota_enforcer_core::control::{self, Order, Refused};
use quota_enforcer_core::decide::{Memory, Observation, Outcome, decide};
use quota_enforcer_core::ledger::{Hold, Ledger};
use quota_enforcer_core::policy::Policy;
use quota_enforcer_core::quota::Slot;
use quota_enforcer_core::step::Window;
use quota_enforcer_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::ports::{BrokerId, Cluster, LedgerFault, LedgerStore, Metrics, Observed, QuotaFault, Quotas};
pub use act::Done;
use act::Work;
use backoff::Backoff;
use probe::{Probe, Stage};
use trusted_time::TrustedTime;

/// How long the engine waits for whom.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For all metrics of a tick.
    pub observe: Duration,
    /// For one request to the brokers.
    pub request: Duration,
    /// From an intent until its write is applied no more, whoever sent it: the lease, a request's time, and how long
    /// brokers go on forwarding it.
    pub in_flight: Duration,
    /// Until every live broker tells a new value.
    pub read_back: Duration,
    /// How old the description of the cluster may be.
    pub cluster: Duration,
}

/// What one tick saw and did.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    /// The time it was decided at.
    pub at: Timestamp,
    /// The cluster.
    pub cluster: Cluster,
    /// What was seen.
    pub observation: Observation,
    /// What was decided.
    pub outcome: Outcome,
    /// What was done.
    pub done: Vec<Done>,
    /// What could not be read or done, for people.
    pub faults: Vec<String>,
    /// The ledger could not be written.
    pub ledger_failed: bool,
}

/// What an order came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ordered {
    /// In words.
    pub said: Vec<String>,
    /// Quota writes.
    pub done: Vec<Done>,
    /// What failed.
    pub faults: Vec<String>,
}

/// Why an order came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// It makes no sense as things stand.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The ledger cannot be written.
    #[error("cannot write the ledger: {0}")]
    Ledger(#[from] LedgerFault),
    /// The quotas cannot be read.
    #[error("cannot read the cluster's quotas: {0}")]
    Quotas(#[from] QuotaFault),
    /// What time it is is not certain, and the order goes by it.
    #[error("{0}: ask again when that is settled, or use `release`, which goes by no clock")]
    Clock(String),
}

/// See the module.
pub struct Engine {
    metrics: Arc<dyn Metrics>,
    quotas: Arc<dyn Quotas>,
    clock: Arc<dyn Clock>,
    probe: Arc<dyn Probe>,
    limits: Limits,
    memory: Memory,
    time: TrustedTime,
    backoff: Backoff,
    /// Writes that were not answered, by when they were intended, until the ledger has taken that.
    unanswered: BTreeMap<Slot, Timestamp>,
    cluster: Option<(Cluster, Duration)>,
}

impl Engine {
    /// With nothing remembered.
    pub fn new(
        metrics: Arc<dyn Metrics>,
        quotas: Arc<dyn Quotas>,
        clock: Arc<dyn Clock>,
        probe: Arc<dyn Probe>,
        limits: Limits,
    ) -> Self {
        let time = TrustedTime::new(Timestamp(clock.now_ms()), clock.monotonic());
        Self {
            metrics,
            quotas,
            clock,
            probe,
            limits,
            memory: Memory::default(),
            time,
            backoff: Backoff::default(),
            unanswered: BTreeMap::new(),
            cluster: None,
        }
    }

    /// Reads, decides and, with a ledger to write to, acts. Without one, `ledger` is what is known of the leader's.
    /// `blockers` says why nothing may be tightened whatever is seen.
    #[tracing::instrument(skip_all, fields(acts = Empty, done = Empty, faults = Empty))]
    pub async fn tick(
        &mut self,
        policy: &Policy,
        store: Option<&dyn LedgerStore>,
        ledger: &Ledger,
        blockers: &[String],
    ) -> Tick {
        let tick = self.pass(policy, store, ledger, blockers).await;
        let span = Span::current();
        span.record("acts", tick.outcome.acts.len());
        span.record("done", tick.done.len());
        span.record("faults", tick.faults.len());
        tick
    }

    /// What a tick does, and a plan and a preview in part.
    async fn pass(
        &mut self,
        policy: &Policy,
        store: Option<&dyn LedgerStore>,
        ledger: &Ledger,
        blockers: &[String],
    ) -> Tick {
        let mut tick = Tick::default();
        let mut watch = Stopwatch::of(self);
        let observe = async {
            let (observed, snapshot) =
                tokio::join!(self.metrics.observe(policy, self.limits.observe), self.quotas.snapshot());
            (observed, snapshot, self.cluster().await)
        };
        let (observed, snapshot, (cluster, unknown)) = observe.instrument(info_span!("observe")).await;
        watch.reached(Stage::Observed);

        tick.faults.extend(observed.faults.iter().cloned());
        let snapshot = match snapshot {
            Ok(snapshot) => Some(snapshot),
            Err(fault) => {
                tick.faults.push(format!("cannot read the cluster's quotas: {fault}"));
                None
            }
        };
        let newest = observed.usage.values().flat_map(|usage| usage.scraped.values()).max().copied();
        let reading = self.time.read(
            Timestamp(self.clock.now_ms()),
            self.clock.monotonic(),
            newest,
            policy.evidence.max_age,
        );
        tick.at = reading.now;
        let decided = self.clock.monotonic();
        let mut blockers = blockers.to_vec();
        let certain = reading.doubt.is_none();
        blockers.extend(reading.doubt);
        blockers.extend(unknown);
        if let Some(class) = &cluster.custom_callback {
            blockers.push(format!(
                "the brokers run the quota callback {class}: Kafka's own quotas limit nothing there"
            ));
        }
        tick.observation = observation(&cluster, observed, snapshot, blockers);
        tick.observation.refused = self.backoff.waiting(decided);
        tick.cluster = cluster;
        let brokers: Vec<BrokerId> = tick.cluster.brokers.keys().copied().collect();

        // What a write before this tick came to is settled before anything is decided.
        if let Some(store) = store {
            match self.settle_intents(store, &brokers, tick.at, certain).await {
                Ok(done) => tick.done.extend(done),
                Err(fault) => {
                    failed(&fault, &mut tick);
                    return tick;
                }
            }
        }
        let known = store.map_or_else(|| ledger.clone(), LedgerStore::ledger);
        tick.faults.extend(known.holds.values().filter_map(unanswered));
        if let Some(snapshot) = &mut tick.observation.snapshot {
            self.ask_all(snapshot, &known, &brokers).await;
        }
        tick.outcome = info_span!("decide")
            .in_scope(|| decide(policy, &tick.observation, &known, &mut self.memory, tick.at));
        watch.reached(Stage::Decided);
        if let Some(store) = store {
            let work = Work {
                acts: &tick.outcome.acts,
                // By a clock that is wrong, what is remembered would be lost.
                changes: if certain { control::expired(&known, tick.at) } else { Vec::new() },
                entries: Vec::new(),
                by: None,
                policy: Some(&policy.version),
                at: tick.at,
                decided,
                brokers,
            };
            match self.perform(store, work, &mut watch).await {
                Ok(performed) => {
                    tick.done.extend(performed.done);
                    tick.faults.extend(performed.faults);
                    tick.ledger_failed |= performed.late;
                }
                Err(fault) => failed(&fault, &mut tick),
            }
        }
        tick
    }

    /// What would be done by these rules if one sample over a threshold were enough. Nothing is done; samples are remembered for
    /// the next look, for one alone does not tell how fast a client grows.
    #[tracing::instrument(skip_all)]
    pub async fn plan(&mut self, policy: &Policy, ledger: &Ledger) -> Tick {
        let mut once = policy.clone();
        for rule in &mut once.rules {
            rule.confirm = quota_enforcer_core::policy::Confirm { k: 1, n: 2 };
        }
        let mut tick = self.pass(&once, None, ledger, &[]).await;
        self.validate(&mut tick).await;
        tick
    }

    /// What the next tick would do, by what is remembered and as far as `blockers` allow; the memory stays as it is.
    #[tracing::instrument(skip_all)]
    pub async fn preview(&mut self, policy: &Policy, ledger: &Ledger, blockers: &[String]) -> Tick {
        let memory = self.memory.clone();
        let mut tick = self.pass(policy, None, ledger, blockers).await;
        self.memory = memory;
        self.validate(&mut tick).await;
        tick
    }

    /// Does what a person asks for, as leader.
    ///
    /// # Errors
    /// When the order makes no sense, or the ledger or the cluster cannot be reached.
    #[tracing::instrument(skip_all, fields(done = Empty))]
    pub async fn order(
        &mut self,
        store: &dyn LedgerStore,
        order: &Order,
        by: &str,
        reason: &str,
    ) -> Result<Ordered, OrderError> {
        let (brokers, unknown) = self.brokers().await;
        if brokers.is_empty() {
            return Err(OrderError::Quotas(QuotaFault::Failed(unknown.unwrap_or_default())));
        }
        let mut faults: Vec<String> = unknown.into_iter().collect();
        let reading = self.time.unconfirmed(Timestamp(self.clock.now_ms()), self.clock.monotonic());
        let certain = reading.doubt.is_none();
        if let Some(doubt) = reading.doubt
            && matches!(order, Order::Exempt { .. } | Order::Reap)
        {
            return Err(OrderError::Clock(doubt));
        }
        let (now, decided) = (reading.now, self.clock.monotonic());
        let mut done = self.settle_intents(store, &brokers, now, certain).await?;
        let plan = control::plan(order, &store.ledger(), by, reason, now)?;
        faults.extend(plan.faults);
        let work = Work {
            acts: &plan.acts,
            changes: plan.changes,
            entries: plan.entries,
            by: Some(by),
            policy: None,
            at: now,
            decided,
            brokers,
        };
        let mut watch = Stopwatch::of(self);
        let performed = self.perform(store, work, &mut watch).await?;
        done.extend(performed.done);
        faults.extend(performed.faults);
        Span::current().record("done", done.len());
        Ok(Ordered { said: plan.said, done, faults })
    }

    /// Who has to tell a value before it is live.
    async fn brokers(&mut self) -> (Vec<BrokerId>, Option<String>) {
        let (cluster, unknown) = self.cluster().await;
        (cluster.brokers.into_keys().collect(), unknown)
    }

    /// The cluster, as old as the limit allows, and what is the matter with it; older when it cannot be described: what is held has
    /// to end all the same.
    async fn cluster(&mut self) -> (Cluster, Option<String>) {
        let now = self.clock.monotonic();
        if let Some((cluster, at)) = &self.cluster
            && now.saturating_sub(*at) < self.limits.cluster
            && cluster.doubts.is_empty()
        {
            return (cluster.clone(), None);
        }
        match self.quotas.cluster().await {
            Ok(cluster) => {
                let doubt = cluster.doubts.first().cloned();
                self.cluster = Some((cluster.clone(), now));
                (cluster, doubt)
            }
            Err(fault) => {
                let known = self.cluster.as_ref().map(|(cluster, _)| cluster.clone());
                // Without any brokers nothing is decided.
                (known.unwrap_or_default(), Some(format!("cannot describe the cluster: {fault}")))
            }
        }
    }
}

/// What nobody knows of a write until it can come into effect no more: said for as long as that is so.
fn unanswered(hold: &Hold) -> Option<String> {
    let intent = hold.intent.filter(|intent| intent.unanswered)?;
    Some(format!("{} may or may not be written: a write at {} was not answered", hold.slot, intent.at))
}

fn failed(fault: &LedgerFault, tick: &mut Tick) {
    tick.ledger_failed = true;
    tick.faults
        .push(format!("cannot write the ledger: {fault}; nothing new is enforced, what is held is kept"));
}

fn observation(
    cluster: &Cluster,
    observed: Observed,
    snapshot: Option<quota_enforcer_core::quota::Snapshot>,
    blockers: Vec<String>,
) -> Observation {
    let window = |info: &crate::ports::BrokerInfo| Window::new(info.windows, info.window);
    Observation {
        usage: observed.usage,
        snapshot,
        brokers: cluster.brokers.iter().map(|(id, info)| (*id, window(info))).collect(),
        baselines: observed.baselines,
        answers: observed.answers,
        burns: observed.burns,
        blockers,
        ..Observation::default()
    }
}

/// Times stages.
struct Stopwatch {
    clock: Arc<dyn Clock>,
    probe: Arc<dyn Probe>,
    last: Duration,
}

impl Stopwatch {
    fn of(engine: &Engine) -> Self {
        let (clock, probe) = (Arc::clone(&engine.clock), Arc::clone(&engine.probe));
        let last = clock.monotonic();
        Self { clock, probe, last }
    }

    fn reached(&mut self, stage: Stage) {
        let now = self.clock.monotonic();
        self.probe.reached(stage, now.saturating_sub(self.last));
        self.last = now;
    }
}
