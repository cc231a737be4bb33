//! Holds: are they still ours, do they bite, is the next step due, has the client calmed down.

mod phase;

use serde_json::json;

use super::act::{record, release, value};
use super::measure::{Measured, measure};
use super::track::Sample;
use super::{Act, Memory, Outcome, Scene, State, Verdict};
use crate::audit::Event;
use crate::hazard::{self, Hazard};
use crate::ledger::{Hold, Intent, Phase, Purpose};
use crate::policy::{Mode, Rule};
use crate::quota::same;
use crate::resolve;
use crate::usage::{Unknown, human};
use phase::Press;

/// A rate above this share of the bound is pressed against it: what the client would like cannot be seen.
const PRESSED: f64 = 0.8;
/// A bound bites when rates stay below this multiple of it.
const BITES: f64 = 1.1;

/// Looks at every hold.
pub(super) fn holds(scene: &Scene<'_>, memory: &mut Memory, outcome: &mut Outcome) {
    for hold in scene.ledger.holds.values() {
        // A write under way is read back first; until then nobody knows what stands.
        if let Some(intent) = hold.intent {
            outcome.verdicts.push(held(hold, None, under_way(hold, &intent)));
            continue;
        }
        match hold.purpose {
            Purpose::Sentinel => sentinel(scene, hold, outcome),
            Purpose::Throttle => throttle(scene, memory, hold, outcome),
        }
    }
}

fn under_way(hold: &Hold, intent: &Intent) -> String {
    let write = intent.to.map_or("the removal of the quota".to_owned(), |to| {
        format!("a write of {}", human(hold.slot.key, to))
    });
    match intent.unanswered {
        true => {
            format!("{write} at {} was not answered: it may or may not stand, and may come late", intent.at)
        }
        false => format!("{write} is being read back since {}", intent.at),
    }
}

/// Ours still stands, or a human took over.
fn taken_over(scene: &Scene<'_>, hold: &Hold, outcome: &mut Outcome) -> bool {
    let live = scene.snapshot.get(&hold.slot);
    if hold.phase == Phase::Lost {
        let why = if scene.now >= hold.expires {
            outcome.acts.push(Act::forget(
                hold,
                "the hold that a human took over expired".to_owned(),
                json!({}),
            ));
            "it expired after a human took over"
        } else {
            "a human changed the quota: hands off"
        };
        outcome.verdicts.push(held(hold, None, why.to_owned()));
        return true;
    }
    if same(live, hold.ours) {
        return false;
    }
    let word = |value: Option<f64>| value.map_or("none".to_owned(), |value| human(hold.slot.key, value));
    let why = format!("the quota is {} where ours was {}: a human changed it", word(live), word(hold.ours));
    let lost = Hold { phase: Phase::Lost, ours: None, ..hold.clone() };
    let evidence = json!({ "live": live, "ours": hold.ours });
    outcome.acts.push(Act {
        hold: lost.clone(),
        forget: false,
        event: Event::HumanTookOver,
        why: why.clone(),
        evidence,
    });
    outcome.verdicts.push(held(&lost, None, why));
    true
}

fn sentinel(scene: &Scene<'_>, hold: &Hold, outcome: &mut Outcome) {
    if taken_over(scene, hold, outcome) {
        return;
    }
    let Some(value) = super::sentinel::value(scene, &hold.slot) else {
        outcome.acts.push(release(scene, hold, None, "no rule needs it any more".to_owned()));
        return;
    };
    if !same(Some(value), Some(hold.target)) {
        let why = format!("its rule asks for {} instead", human(hold.slot.key, value));
        match scene.forbids(&hold.slot) {
            // Without one, clients of this kind cannot be measured: the next tick sets the new one.
            None => outcome.acts.push(release(scene, hold, None, why)),
            Some(by) => outcome.verdicts.push(held(hold, None, format!("{why}, but {by}"))),
        }
        return;
    }
    let mut others = scene.snapshot.clone();
    others.set(hold.slot.clone(), None);
    let quotas = resolve::Index::new(&others, hold.slot.key);
    let hazards = hazard::check_sentinel(&quotas, &hold.slot.entity, hold.target, scene.policy);
    if !hazards.is_empty() {
        outcome.acts.push(release(scene, hold, None, super::words(&hazards).join("; ")));
    }
}

fn throttle(scene: &Scene<'_>, memory: &mut Memory, hold: &Hold, outcome: &mut Outcome) {
    if taken_over(scene, hold, outcome) {
        return;
    }
    if hold.phase == Phase::Releasing {
        let why = "the release goes on".to_owned();
        outcome.verdicts.push(held(hold, None, why.clone()));
        outcome.acts.push(release(scene, hold, None, why));
        return;
    }
    let rule = match may_hold(scene, hold) {
        Ok(rule) => rule,
        Err(why) => {
            outcome.acts.push(release(scene, hold, None, why));
            return;
        }
    };
    if let Some(act) = phase::loosen(scene, rule, hold) {
        outcome.verdicts.push(held(hold, None, act.why.clone()));
        outcome.acts.push(act);
        return;
    }
    let written = hold.written.unwrap_or(hold.since);
    let settled = memory.settled(rule.key, rule.entity);
    let not_before = settled.max(written + scene.settle());
    let totals = scene.index(rule.key).and_then(|index| index.totals(&scene.needs(settled), scene.now));
    let measured = measure(scene, rule, &hold.slot.entity, not_before, &totals).and_then(|measured| {
        let hidden = memory.named.hide(scene, &hold.slot, &measured.rates);
        if hidden { Err(Unknown::Vanished) } else { Ok(measured) }
    });
    match measured {
        // Kept as it is until it expires.
        Err(reason) => {
            memory.above.remove(&hold.slot);
            let why = format!("{reason}; the quota stays as it is until {}", hold.expires);
            let mut verdict = held(hold, None, why);
            if !matches!(reason, Unknown::Settling { .. }) {
                verdict.state = State::Unknown { reason };
            }
            outcome.verdicts.push(verdict);
        }
        Ok(measured) => known(scene, memory, rule, hold, measured, outcome),
    }
}

/// The rule that still wants this hold.
fn may_hold<'a>(scene: &Scene<'a>, hold: &Hold) -> Result<&'a Rule, String> {
    if scene.now >= hold.expires {
        return Err("it expired".to_owned());
    }
    let rule = scene.rule(&hold.rule).ok_or("its rule is gone from the policy")?;
    if rule.mode < Mode::Enforce {
        return Err("its rule enforces no more".to_owned());
    }
    if rule.key != hold.slot.key || rule.entity != hold.slot.entity.kind() {
        return Err("its rule limits something else now".to_owned());
    }
    if !rule.select.selects(&hold.slot.entity) {
        return Err("its rule does not select it any more".to_owned());
    }
    if let Some(pattern) = scene.policy.protected.find(&hold.slot.entity) {
        return Err(format!("it is protected now, by {pattern}"));
    }
    if let Some(exemption) = scene.exemption(rule, &hold.slot.entity) {
        return Err(format!("exempted by {}: {}", exemption.by, exemption.reason));
    }
    if let Some(hazard) = hold.ours.and_then(|ours| harms(scene, rule, hold, ours)) {
        return Err(format!("{hazard}, if it stayed"));
    }
    Ok(rule)
}

/// What speaks against a hold's bound, the one that stands or a higher one: it gives a client more than somebody has allowed
/// meanwhile, or binds one that no rule may touch. A quota without effect is told as such, and kept.
fn harms(scene: &Scene<'_>, rule: &Rule, hold: &Hold, bound: f64) -> Option<Hazard> {
    let entity = &hold.slot.entity;
    let members = scene.members(rule, entity);
    let hazards =
        hazard::check(scene.quotas.get(&rule.key)?, entity, bound, hold.ours, &members, scene.policy);
    hazards.into_iter().find(|hazard| match hazard {
        // A limit above ours cannot free whom ours slows.
        Hazard::Escapes { limit, .. } => bound > *limit,
        Hazard::Loosens { .. } | Hazard::BindsProtected { .. } => true,
        _ => false,
    })
}

fn known(
    scene: &Scene<'_>,
    memory: &mut Memory,
    rule: &Rule,
    hold: &Hold,
    measured: Measured,
    outcome: &mut Outcome,
) {
    let now = scene.now;
    let bound = hold.ours.unwrap_or(hold.target);
    let worst = measured.rates.worst();
    let bites = worst <= bound * BITES + scene.swing(rule);
    let pressed = worst >= bound * PRESSED;
    let calm = !pressed && measured.value <= rule.release;
    // Whatever becomes of the hold: what comes after it is compared with this.
    let track = memory.tracks.entry((rule.name.clone(), hold.slot.entity.clone())).or_default();
    let sample = Sample { over: measured.value > rule.enter, calm, free: !pressed };
    track.push(&measured.rates, sample, rule.confirm, scene.gap(rule));
    // One quiet sample may be a client that stalled, or a broker that came back with empty counters.
    let stays_calm = calm && track.calm_count(rule.confirm) >= rule.confirm.k;
    let press = match pressed {
        true => Press::Pressed,
        false if track.free_count(rule.confirm) >= rule.confirm.k => Press::Free,
        false => Press::Unsure,
    };
    let mut verdict = held(hold, Some(&measured), String::new());

    if bites {
        memory.above.remove(&hold.slot);
    } else {
        let since = *memory.above.entry(hold.slot.clone()).or_insert(measured.rates.at);
        if hold.ineffective.is_none() && measured.rates.at.since(since) < scene.window.longest {
            // What a sensor holds shows for as long as it looks back.
            verdict.why = format!(
                "{} on one broker under a bound of {}: it may still bite",
                human(rule.key, worst),
                human(rule.key, bound)
            );
            outcome.verdicts.push(verdict);
            return;
        }
        verdict.state = State::Ineffective;
        verdict.why = format!(
            "{} on one broker under a bound of {}: the bound does not bite",
            human(rule.key, worst),
            human(rule.key, bound)
        );
        if hold.ineffective.is_none() {
            let next = Hold { ineffective: Some(now), verified: None, ..hold.clone() };
            outcome.acts.push(record(next, Event::Ineffective, verdict.why.clone(), &measured, rule));
        }
        outcome.verdicts.push(verdict);
        return;
    }
    if hold.verified.is_none() {
        let why = format!(
            "{} on the busiest broker under a bound of {}",
            human(rule.key, worst),
            human(rule.key, bound)
        );
        let next = Hold { verified: Some(now), ineffective: None, ..hold.clone() };
        outcome.acts.push(record(next, Event::Verified, why.clone(), &measured, rule));
        verdict.why = why;
        outcome.verdicts.push(verdict);
        return;
    }

    let act = if stays_calm && now >= hold.earliest {
        let why = format!("calm: {} is below the release threshold", value(rule, measured.value));
        Some(release(scene, hold, Some((&measured, rule)), why))
    } else {
        phase::next(scene, rule, hold, &measured, press)
    };
    verdict.why =
        act.as_ref().map_or_else(|| phase::waiting(scene, rule, hold, &measured), |act| act.why.clone());
    outcome.acts.extend(act);
    outcome.verdicts.push(verdict);
}

fn held(hold: &Hold, measured: Option<&Measured>, why: String) -> Verdict {
    Verdict {
        rule: hold.rule.clone(),
        entity: Some(hold.slot.entity.clone()),
        key: hold.slot.key,
        state: State::Held { phase: hold.phase },
        value: measured.map(|measured| measured.value),
        rates: measured.map(|measured| measured.rates.clone()),
        why,
    }
}

/// A write that did not come about a moment ago is not tried again at once.
pub(super) fn hold_back(scene: &Scene<'_>, outcome: &mut Outcome) {
    let refused = &scene.observation.refused;
    outcome.acts.retain(|act| act.hold.intent.is_none() || !refused.contains_key(&act.hold.slot));
    for (slot, why) in refused.iter().filter(|(slot, _)| scene.ledger.holds.contains_key(slot)) {
        let of =
            |verdict: &&mut Verdict| verdict.entity.as_ref() == Some(&slot.entity) && verdict.key == slot.key;
        for verdict in outcome.verdicts.iter_mut().filter(of) {
            verdict.why = format!("{why}; meanwhile: {}", verdict.why);
        }
    }
}
