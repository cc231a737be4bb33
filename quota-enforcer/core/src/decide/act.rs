//! What is to be done, with what it was decided on.

use serde_json::{Value, json};

use super::Scene;
use super::measure::Measured;
use crate::audit::Event;
use crate::ledger::{Hold, Intent, Phase};
use crate::policy::{Measure, Rule};
use crate::step::{Safety, Step};
use crate::time::{Timestamp, millis};
use crate::usage::human;

/// One thing to do. With an intent in the hold: write the ledger, write the quota, read back, reconcile. Without: record.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// The hold as it is to be from now on. The intent says what to write.
    pub hold: Hold,
    /// The hold is to be forgotten: nothing of ours stands.
    pub forget: bool,
    /// What is recorded.
    pub event: Event,
    /// In words.
    pub why: String,
    /// What it was decided on.
    pub evidence: Value,
}

impl Act {
    /// It lowers somebody's bound.
    #[must_use]
    pub fn tightens(&self) -> bool {
        self.hold.tightens()
    }

    /// Back to what stood before us.
    pub(crate) fn release(hold: &Hold, why: String, evidence: Value, now: Timestamp) -> Self {
        let intent = Intent::new(hold.ours, hold.prior, now);
        let hold = Hold { phase: Phase::Releasing, intent: Some(intent), ..hold.clone() };
        Self { hold, forget: false, event: Event::Intent, why, evidence }
    }

    /// Hands are off no more: there is nothing to give back.
    pub(crate) fn forget(hold: &Hold, why: String, evidence: Value) -> Self {
        Self { hold: hold.clone(), forget: true, event: Event::Released, why, evidence }
    }
}

pub(super) fn write(
    scene: &Scene<'_>,
    hold: Hold,
    to: Option<f64>,
    why: String,
    measured: &Measured,
    rule: &Rule,
) -> Act {
    let intent = Intent::new(hold.ours, to, scene.now);
    let evidence = evidence(rule, measured, &hold);
    let hold = Hold {
        intent: Some(intent),
        verified: None,
        ineffective: None,
        policy: scene.policy.version.clone(),
        ..hold
    };
    Act { hold, forget: false, event: Event::Intent, why, evidence }
}

/// [`Act::release`], on what was measured.
pub(super) fn release(
    scene: &Scene<'_>,
    hold: &Hold,
    measured: Option<(&Measured, &Rule)>,
    why: String,
) -> Act {
    let evidence = measured.map_or_else(|| json!({ "ours": hold.ours }), |(m, rule)| evidence(rule, m, hold));
    Act::release(hold, why, evidence, scene.now)
}

pub(super) fn record(hold: Hold, event: Event, why: String, measured: &Measured, rule: &Rule) -> Act {
    let evidence = evidence(rule, measured, &hold);
    Act { hold, forget: false, event, why, evidence }
}

/// What a decision about one client rests on.
pub(super) fn evidence(rule: &Rule, measured: &Measured, hold: &Hold) -> Value {
    json!({
        "value": measured.value,
        "enter": rule.enter,
        "release": rule.release,
        "rates": measured.rates,
        "bound": hold.ours,
        "target": hold.target,
        "limit": hold.limit,
        "offence": hold.offence,
    })
}

/// What a step's size follows from, so that [`crate::step::next`] gives it again from a record alone: with `bound` for what stood
/// and `target`. Bounds and rates are in the key's unit.
pub(super) fn sized(mut evidence: Value, peak: f64, floor: f64, safety: &Safety, step: &Step) -> Value {
    let inputs = json!({
        "peak": peak,
        "floor": floor,
        "longest_window_ms": millis(safety.window.longest),
        "shortest_window_ms": millis(safety.window.shortest),
        "burst_bytes": safety.burst.bytes(),
        "mute_bound_ms": millis(safety.bound),
        "mute_ms": millis(step.mute),
    });
    if let (Value::Object(fields), Value::Object(inputs)) = (&mut evidence, inputs) {
        fields.extend(inputs);
    }
    evidence
}

/// A measured value, for people.
pub(super) fn value(rule: &Rule, value: f64) -> String {
    match rule.measure {
        Measure::Total | Measure::WorstBroker => human(rule.key, value),
        Measure::ShareOfBroker => format!("{:.0} % of a broker's traffic", value * 100.0),
        Measure::ShareOfCluster => format!("{:.0} % of the cluster's traffic", value * 100.0),
        Measure::TimesBaseline => format!("{value:.1} times its baseline"),
        Measure::Query(_) => format!("{value}"),
    }
}
