//! Where a throttle goes from here.

use serde_json::json;

use super::{BITES, Measured, harms};
use crate::allot;
use crate::audit::Event;
use crate::decide::Scene;
use crate::decide::act::{Act, record, release, sized, value, write};
use crate::decide::spread::spread;
use crate::ledger::{Hold, Intent, Phase};
use crate::policy::Rule;
use crate::step::{self, Step};
use crate::usage::human;

/// A bound so close to the one that is meant is not worth a write.
const NEAR: f64 = 1.01;
/// Nor, on the way there, is a cut to more than this share of the bound, as long as a larger one can be had.
const WORTH: f64 = 0.9;
/// Each probe multiplies the bound by this.
const PROBE: f64 = 2.0;

/// How a client stands to its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Press {
    /// So close to it that what the client would like cannot be seen.
    Pressed,
    /// Away from it now, and not in enough of the last samples.
    Unsure,
    /// Away from it.
    Free,
}

/// A higher bound, or none, where the one that stands may mute connections for longer than it should: what is known of its client or
/// its brokers has changed since it was written. It loosens, so nothing keeps it from being done.
pub(super) fn loosen(scene: &Scene<'_>, rule: &Rule, hold: &Hold) -> Option<Act> {
    let (ours, safety) = (hold.ours?, scene.safety(rule));
    let safe = |bound: f64| safety.mute(0.0, Some(bound), bound) <= safety.bound;
    if rule.key.mute_is_bounded_by_broker() || safe(ours) {
        return None;
    }
    let why = format!("a bound of {} may cause longer pauses than is safe now", human(rule.key, ours));
    let to = rule.key.rounded(safety.floor() + 1.0);
    let evidence = json!({ "bound": ours, "connections": rule.burst.connections });
    let mute = safety.mute(0.0, Some(to), to);
    let evidence = sized(evidence, 0.0, safety.floor(), &safety, &Step { to, last: true, mute });
    if !safe(to) || to >= hold.caught_at_rate {
        return Some(Act::release(hold, format!("{why}, and none below its rate is"), evidence, scene.now));
    }
    if let Some(hazard) = harms(scene, rule, hold, to) {
        return Some(Act::release(
            hold,
            format!("{why}, and of {}: {hazard}", human(rule.key, to)),
            evidence,
            scene.now,
        ));
    }
    let intent = Intent::new(hold.ours, Some(to), scene.now);
    let policy = scene.policy.version.clone();
    let next = Hold { intent: Some(intent), verified: None, ineffective: None, policy, ..hold.clone() };
    let why = format!("{why}: it becomes {}", human(rule.key, to));
    Some(Act { hold: next, forget: false, event: Event::Intent, why, evidence })
}

/// What is to be done with a throttle that bites and whose client has not calmed down; nothing while it has to wait.
pub(super) fn next(
    scene: &Scene<'_>,
    rule: &Rule,
    hold: &Hold,
    measured: &Measured,
    press: Press,
) -> Option<Act> {
    match hold.phase {
        Phase::Cutting => cut(scene, rule, hold, measured, press),
        Phase::Holding => holding(scene, rule, hold, measured, press),
        Phase::Probing => probe(scene, rule, hold, measured, press),
        Phase::Releasing | Phase::Lost => None,
    }
}

/// What it waits for, in words.
pub(super) fn waiting(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured) -> String {
    let bound = human(rule.key, hold.ours.unwrap_or(hold.target));
    let (value, phase) = (value(rule, measured.value), hold.phase.name());
    let words = format!("{value} at a bound of {bound}, {phase} until {}", hold.until);
    match scene.forbids(&hold.slot).filter(|_| hold.phase == Phase::Cutting) {
        Some(by) => format!("{words}; no step is made: {by}"),
        None => words,
    }
}

/// One step towards the target, no further than the mute bound allows.
fn cut(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured, press: Press) -> Option<Act> {
    let bound = hold.ours.unwrap_or(hold.target);
    if bound <= hold.target * NEAR {
        let next = Hold { phase: Phase::Holding, ..hold.clone() };
        let why = format!("the bound is where it is meant to be: {}", human(rule.key, bound));
        return Some(record(next, Event::Phase, why, measured, rule));
    }
    // A pause, and whatever else keeps clients from being caught, stops steps that are under way, too; and so does a floor that
    // is not known.
    let floor = scene.floor(rule, &hold.slot.entity, &measured.rates);
    let Some(floor) = floor.ok().filter(|_| scene.forbids(&hold.slot).is_none()) else {
        return in_the_end(scene, rule, hold, measured, press);
    };
    let peak = measured.rates.peak().max(measured.rates.worst());
    let safety = scene.safety(rule);
    let step = step::next(peak, hold.ours, hold.target, floor, &safety, rule.key);
    let worth = |step: &Step| step.last || step.to <= bound * WORTH;
    let larger = || step::next(bound, hold.ours, hold.target, floor, &safety, rule.key).filter(worth);
    let Some(step) = step
        .filter(|step| step.to < bound && (worth(step) || !may_settle(scene, hold) || larger().is_none()))
    else {
        // The floor rose, or the client was faster lately than the rest of the way allows: that may pass.
        return in_the_end(scene, rule, hold, measured, press);
    };
    let why = format!(
        "next step from {} to {} of {}; no connection pauses for more than {:.1} s",
        human(rule.key, bound),
        human(rule.key, step.to),
        human(rule.key, hold.target),
        step.mute.as_secs_f64()
    );
    let act = write(scene, hold.clone(), Some(step.to), why, measured, rule);
    Some(Act { evidence: sized(act.evidence, peak, floor, &safety, &step), ..act })
}

/// The client was faster lately than its bound, and that may pass: every write is a record on each broker, so one large cut is better
/// than two small ones. Readings count from one of these times after a write on.
fn may_settle(scene: &Scene<'_>, hold: &Hold) -> bool {
    let written = hold.written.unwrap_or(hold.since);
    scene.now < written + scene.settle().saturating_mul(2)
}

fn holding(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured, press: Press) -> Option<Act> {
    // More brokers carry its traffic now, or the load moved: together they give more than the limit.
    let lower = hold.limit.filter(|limit| measured.rates.total() > limit * BITES).and_then(|limit| {
        let floor = scene.floor(rule, &hold.slot.entity, &measured.rates).ok()?;
        allot::per_broker(limit, &measured.rates.by_broker()).map(|target| target.max(floor))
    });
    let bound = hold.ours.unwrap_or(hold.target);
    if let Some(target) = lower
        && target < bound * 0.9
    {
        let next = Hold { phase: Phase::Cutting, target, ..hold.clone() };
        let why = format!(
            "{} over all brokers is above the limit: the bound is to become {}",
            human(rule.key, measured.rates.total()),
            human(rule.key, target)
        );
        return Some(record(next, Event::Phase, why, measured, rule));
    }
    in_the_end(scene, rule, hold, measured, press)
}

/// When its time is over: is it still needed? What is not pressed and not calm is between the thresholds and stays held until
/// then.
fn in_the_end(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured, press: Press) -> Option<Act> {
    if scene.now < hold.until {
        return None;
    }
    wanted(scene, rule, hold, measured, press)
}

/// More for who is pressed; who is free needs no bound.
fn wanted(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured, press: Press) -> Option<Act> {
    match press {
        Press::Pressed => Some(raise(scene, rule, hold, measured)),
        Press::Unsure => None,
        Press::Free => {
            let why = "its time is over and it does not press against the bound".to_owned();
            Some(release(scene, hold, Some((measured, rule)), why))
        }
    }
}

fn probe(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured, press: Press) -> Option<Act> {
    if measured.value > rule.enter {
        let offence = hold.offence.saturating_add(1);
        let limit = hold.limit.and_then(|limit| allot::per_broker(limit, &measured.rates.by_broker()));
        // Where any bound is too low or the floor is not known, it stays where it is.
        let floor = scene.floor(rule, &hold.slot.entity, &measured.rates).unwrap_or(f64::INFINITY);
        let bound = hold.ours.unwrap_or(hold.target);
        let next = Hold {
            phase: Phase::Cutting,
            target: limit.unwrap_or(hold.target).max(floor).min(bound),
            offence,
            until: (scene.now + spread(&hold.slot, rule.hold.duration_of(offence))).min(hold.expires),
            ..hold.clone()
        };
        let why = format!("{} while probing: it has not calmed down", value(rule, measured.value));
        return Some(record(next, Event::Phase, why, measured, rule));
    }
    wanted(scene, rule, hold, measured, press)
}

/// A higher bound, to see what the client wants; once it would not have bound it when it was caught, none.
fn raise(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured) -> Act {
    let to = rule.key.rounded(hold.ours.unwrap_or(hold.target) * PROBE);
    if to >= hold.caught_at_rate * PROBE {
        let why = "the bound is beyond what it used when it was caught".to_owned();
        return release(scene, hold, Some((measured, rule)), why);
    }
    if let Some(hazard) = harms(scene, rule, hold, to) {
        let why = format!("its time is over, and of a bound of {}: {hazard}", human(rule.key, to));
        return release(scene, hold, Some((measured, rule)), why);
    }
    let why = format!("its time is over: probing with a bound of {}", human(rule.key, to));
    let next = Hold { phase: Phase::Probing, ..hold.clone() };
    write(scene, next, Some(to), why, measured, rule)
}
