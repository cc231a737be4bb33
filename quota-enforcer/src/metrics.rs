//! What the daemon tells Prometheus about itself. Gauges are read off the last [`Status`], so that they never disagree
//! with each other; labels are bounded by the policy's rules and caps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use quota_enforcer_core::decide::State;
use quota_enforcer_core::ledger::{Hold, Phase, Purpose};
use tokio::sync::watch;

use crate::engine::Tick;
use crate::engine::probe::{Probe, Stage};
use crate::status::{Role, Status};

/// Clients of one rule that are named in series; more are only counted.
const NAMED: usize = 100;

/// Counters and histograms. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Meters {
    ticks: Counter,
    faults: Counter,
    ledger_failures: Counter,
    events: Family<EventLabel, Counter>,
    stages: Family<StageLabel, Histogram>,
    unguarded: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabel {
    event: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

impl Meters {
    /// Registers everything, gauges of `status` included.
    #[must_use]
    pub fn register(registry: &mut Registry, status: watch::Receiver<Arc<Status>>) -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let meters = Self {
            ticks: Counter::default(),
            faults: Counter::default(),
            ledger_failures: Counter::default(),
            events: Family::default(),
            stages: Family::new_with_constructor(seconds),
            // A write without an answer may come for more than a minute and a half: up to 131 s.
            unguarded: Histogram::new(exponential_buckets(0.000_25, 2.0, 20)),
        };
        // Its names are whole already.
        registry.register_collector(Box::new(Gauges(status)));
        let registry = registry.sub_registry_with_prefix("quota_enforcer");
        registry.register("ticks", "Ticks that ran", meters.ticks.clone());
        registry.register("faults", "What could not be read or done", meters.faults.clone());
        registry.register(
            "ledger_failures",
            "Ticks in which the ledger could not be written",
            meters.ledger_failures.clone(),
        );
        registry.register("events", "What writes of quotas came to", meters.events.clone());
        registry.register(
            "stage_seconds",
            "Time from one stage of a tick to the next",
            meters.stages.clone(),
        );
        registry.register(
            "unguarded_seconds",
            "Time between looking at a quota and having written it, or until a write without an answer can come no more: a human's write \
             would be lost in it",
            meters.unguarded.clone(),
        );
        meters
    }

    /// Counts a tick.
    pub fn count(&self, tick: &Tick) {
        self.ticks.inc();
        self.faults.inc_by(tick.faults.len() as u64);
        self.ledger_failures.inc_by(u64::from(tick.ledger_failed));
        for done in &tick.done {
            self.events.get_or_create(&EventLabel { event: done.event.name() }).inc();
        }
    }
}

impl Probe for Meters {
    fn reached(&self, stage: Stage, took: Duration) {
        self.stages.get_or_create(&StageLabel { stage: stage.name() }).observe(took.as_secs_f64());
    }

    fn unguarded(&self, took: Duration) {
        self.unguarded.observe(took.as_secs_f64());
    }
}

#[derive(Debug)]
struct Gauges(watch::Receiver<Arc<Status>>);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let status = Arc::clone(&self.0.borrow());
        let mut one = |name: &str, help: &str, value: f64| {
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)
        };
        let flag = |set: bool| if set { 1.0 } else { 0.0 };
        one("quota_enforcer_leader", "This process acts", flag(status.role == Role::Leader))?;
        one(
            "quota_enforcer_refused",
            "This process may not act, and says why",
            flag(status.role == Role::Refused),
        )?;
        one("quota_enforcer_epoch", "Epoch of this leader", status.epoch.unwrap_or(0) as f64)?;
        one(
            "quota_enforcer_lease_left_seconds",
            "How long this leader may still act without writing its ledger",
            status.lease_left_ms as f64 / 1000.0,
        )?;
        one(
            "quota_enforcer_last_tick_timestamp_seconds",
            "When it was decided last",
            status.at.0 as f64 / 1000.0,
        )?;
        one("quota_enforcer_brokers", "Live brokers", status.brokers as f64)?;
        one("quota_enforcer_blockers", "Reasons why nothing is tightened", status.blockers.len() as f64)?;
        let paused = status.pause.as_ref().map_or(0.0, |pause| pause.since.0 as f64 / 1000.0);
        one(
            "quota_enforcer_paused_since_timestamp_seconds",
            "Since when enforcement is paused; 0: it is not",
            paused,
        )?;
        one("quota_enforcer_capped", "Caps that kept something from being done", status.capped.len() as f64)?;
        let sentinels = status.holds.iter().filter(|hold| hold.purpose == Purpose::Sentinel).count();
        one("quota_enforcer_sentinels", "Defaults of ours that make clients measurable", sentinels as f64)?;
        one("quota_enforcer_exemptions", "Clients exempted", status.exemptions.len() as f64)?;
        rules(&status, &mut encoder)?;
        per_rule(&status, &mut encoder)?;
        throttles(&status, &mut encoder)?;
        expiries(&status, &mut encoder)?;
        holds(&status, &mut encoder)
    }
}

/// What the policy says of each rule, for alerts to look up.
fn rules(status: &Status, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(
        "quota_enforcer_rule",
        "Rules of the policy in force",
        None,
        prometheus_client::metrics::MetricType::Info,
    )?;
    for info in &status.rules {
        let labels = [
            ("rule", info.rule.as_str()),
            ("mode", info.mode.name()),
            ("owner", info.owner.as_deref().unwrap_or_default()),
            ("runbook_url", info.runbook_url.as_deref().unwrap_or_default()),
        ];
        metric.encode_info(&labels)?;
    }
    Ok(())
}

/// Clients by rule and state, and the names of those that are flagged.
fn per_rule(status: &Status, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(
        "quota_enforcer_clients",
        "Clients that a rule sees",
        None,
        prometheus_client::metrics::MetricType::Gauge,
    )?;
    for (rule, seen) in &status.seen {
        let labels = [("rule", rule.as_str())];
        ConstGauge::new(*seen as f64).encode(metric.encode_family(&labels)?)?;
    }
    let mut metric = encoder.encode_descriptor(
        "quota_enforcer_rule_unknown",
        "The rule cannot measure its clients, or not all of them",
        None,
        prometheus_client::metrics::MetricType::Gauge,
    )?;
    let whole = status.verdicts.iter().filter(|verdict| verdict.entity.is_none());
    let unknown = whole.filter(|verdict| matches!(verdict.state, State::Unknown { .. }));
    // It may lack more than one thing.
    for rule in unknown.map(|verdict| verdict.rule.as_str()).collect::<BTreeSet<_>>() {
        ConstGauge::new(1.0).encode(metric.encode_family(&[("rule", rule)])?)?;
    }
    let mut counts = std::collections::BTreeMap::new();
    for verdict in &status.verdicts {
        *counts.entry((verdict.rule.as_str(), verdict.state.name())).or_insert(0.0) += 1.0;
    }
    let mut metric = encoder.encode_descriptor(
        "quota_enforcer_verdicts",
        "Clients that are not calm, by state; for state unknown also rules as a whole",
        None,
        prometheus_client::metrics::MetricType::Gauge,
    )?;
    for ((rule, state), count) in counts {
        let labels = [("rule", rule), ("state", state)];
        ConstGauge::new(count).encode(metric.encode_family(&labels)?)?;
    }
    let mut metric = encoder.encode_descriptor(
        "quota_enforcer_confirmed",
        "Clients confirmed over a rule's threshold, with the measured value, and what keeps them from being throttled; the first \
         hundred of a rule",
        None,
        prometheus_client::metrics::MetricType::Gauge,
    )?;
    let mut named = std::collections::BTreeMap::new();
    for verdict in &status.verdicts {
        let confirmed =
            matches!(verdict.state, State::Observed | State::Flagged | State::Blocked { .. } | State::Caught);
        let (Some(entity), Some(value)) = (&verdict.entity, verdict.value) else { continue };
        let count = named.entry(verdict.rule.as_str()).or_insert(0_usize);
        if !confirmed || *count >= NAMED {
            continue;
        }
        *count += 1;
        let (entity, by) = (entity.to_string(), block(&verdict.state));
        let labels = [
            ("rule", verdict.rule.as_str()),
            ("entity", entity.as_str()),
            ("key", verdict.key.name()),
            ("state", verdict.state.name()),
            ("by", by.as_str()),
        ];
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// What blocks, by the name that it has in JSON; empty for other states.
fn block(state: &State) -> String {
    let State::Blocked { by } = state else { return String::new() };
    let block = serde_json::to_value(by).ok();
    let name = block.as_ref().and_then(|block| block.get("block")?.as_str());
    name.unwrap_or_default().to_owned()
}

/// Each throttle with its bound; caps bound how many there are.
fn throttles(status: &Status, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(
        "quota_enforcer_bound",
        "Bound of a throttle on each broker, in the key's unit",
        None,
        prometheus_client::metrics::MetricType::Gauge,
    )?;
    for hold in status.holds.iter().filter(|hold| hold.purpose == Purpose::Throttle) {
        let entity = hold.slot.entity.to_string();
        let labels = [
            ("rule", hold.rule.as_str()),
            ("entity", entity.as_str()),
            ("key", hold.slot.key.name()),
            ("phase", hold.phase.name()),
            ("owner", hold.owner.as_deref().unwrap_or_default()),
        ];
        ConstGauge::new(hold.ours.unwrap_or(0.0)).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// When each throttle of ours ends at the latest. Sentinels never do, and what a human took over stays.
fn expiries(status: &Status, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(
        "quota_enforcer_expires_timestamp_seconds",
        "When a throttle ends whatever is known; one that is past it cannot be ended",
        None,
        prometheus_client::metrics::MetricType::Gauge,
    )?;
    let ours = |hold: &&Hold| hold.purpose == Purpose::Throttle && hold.phase != Phase::Lost;
    for hold in status.holds.iter().filter(ours) {
        let entity = hold.slot.entity.to_string();
        let labels =
            [("rule", hold.rule.as_str()), ("entity", entity.as_str()), ("key", hold.slot.key.name())];
        ConstGauge::new(hold.expires.0 as f64 / 1000.0).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// What is wrong with each hold.
fn holds(status: &Status, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let mut family = |name: &str, help: &str, is: &dyn Fn(&Hold) -> bool| {
        let gauge = prometheus_client::metrics::MetricType::Gauge;
        let mut metric = encoder.encode_descriptor(name, help, None, gauge)?;
        for hold in &status.holds {
            let entity = hold.slot.entity.to_string();
            let labels =
                [("rule", hold.rule.as_str()), ("entity", entity.as_str()), ("key", hold.slot.key.name())];
            ConstGauge::new(f64::from(u8::from(is(hold)))).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    };
    family("quota_enforcer_ineffective", "A throttle does not bite", &|hold| {
        hold.ineffective.is_some() && hold.phase != Phase::Lost
    })?;
    family("quota_enforcer_taken_over", "A human took the quota over from a hold", &|hold| {
        hold.phase == Phase::Lost
    })
}

#[cfg(test)]
mod tests;
