//! Where a throttle goes from here.

use super::{BITES, Measured};
use crate::allot;
use crate::audit::Event;
use crate::decide::Scene;
use crate::decide::act::{Act, record, release, value, write};
use crate::decide::spread::spread;
use crate::ledger::{Hold, Phase};
use crate::policy::Rule;
use crate::step;
use crate::usage::human;

/// A bound so close to the one that is meant is not worth a write.
const NEAR: f64 = 1.01;
/// Each probe multiplies the bound by this.
const PROBE: f64 = 2.0;

/// What is to be done with a throttle that bites and whose client has not calmed down; nothing while it has to wait.
/// `pressed`: the client is so close to the bound that what it would like cannot be seen.
pub(super) fn next(
    scene: &Scene<'_>,
    rule: &Rule,
    hold: &Hold,
    measured: &Measured,
    pressed: bool,
) -> Option<Act> {
    match hold.phase {
        Phase::Cutting => cut(scene, rule, hold, measured, pressed),
        Phase::Holding => holding(scene, rule, hold, measured, pressed),
        Phase::Probing => probe(scene, rule, hold, measured, pressed),
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
fn cut(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured, pressed: bool) -> Option<Act> {
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
        return in_the_end(scene, rule, hold, measured, pressed);
    };
    let peak = measured.rates.peak().max(measured.rates.worst());
    let step = step::next(peak, hold.ours, hold.target, floor, &scene.safety(rule), rule.key);
    let Some(step) = step.filter(|step| step.to < bound) else {
        // The floor rose, or the rest of the way is not safe: this is where it is held.
        let next = Hold { phase: Phase::Holding, target: bound, ..hold.clone() };
        let why = format!("no lower bound is safe: held at {}", human(rule.key, bound));
        return Some(record(next, Event::Phase, why, measured, rule));
    };
    let why = format!(
        "next step from {} to {} of {}; no connection pauses for more than {:.1} s",
        human(rule.key, bound),
        human(rule.key, step.to),
        human(rule.key, hold.target),
        step.mute.as_secs_f64()
    );
    Some(write(scene, hold.clone(), Some(step.to), why, measured, rule))
}

fn holding(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured, pressed: bool) -> Option<Act> {
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
    in_the_end(scene, rule, hold, measured, pressed)
}

/// When its time is over: is it still needed? What is not pressed and not calm is between the thresholds and stays held until
/// then.
fn in_the_end(
    scene: &Scene<'_>,
    rule: &Rule,
    hold: &Hold,
    measured: &Measured,
    pressed: bool,
) -> Option<Act> {
    if scene.now < hold.until {
        return None;
    }
    if pressed {
        return Some(raise(scene, rule, hold, measured));
    }
    let why = "its time is over and it does not press against the bound".to_owned();
    Some(release(scene, hold, Some((measured, rule)), why))
}

fn probe(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured, pressed: bool) -> Option<Act> {
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
    if pressed {
        return Some(raise(scene, rule, hold, measured));
    }
    let why = "it does not press against the bound any more".to_owned();
    Some(release(scene, hold, Some((measured, rule)), why))
}

/// A higher bound, to see what the client wants; once it would not have bound it when it was caught, none.
fn raise(scene: &Scene<'_>, rule: &Rule, hold: &Hold, measured: &Measured) -> Act {
    let to = rule.key.rounded(hold.ours.unwrap_or(hold.target) * PROBE);
    if to >= hold.caught_at_rate * PROBE {
        let why = "the bound is beyond what it used when it was caught".to_owned();
        return release(scene, hold, Some((measured, rule)), why);
    }
    let why = format!("its time is over: probing with a bound of {}", human(rule.key, to));
    let next = Hold { phase: Phase::Probing, ..hold.clone() };
    write(scene, next, Some(to), why, measured, rule)
}
