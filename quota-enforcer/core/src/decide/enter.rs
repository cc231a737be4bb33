//! Rules look at their clients, and say whom they would throttle.

use std::collections::BTreeSet;

use super::act::value;
use super::judge::{Proposal, judge};
use super::measure::{self, Measured, measure};
use super::nameless;
use super::track::Sample;
use super::{Block, Memory, Outcome, Scene, State, Verdict, slot};
use crate::entity::Entity;
use crate::policy::Rule;
use crate::usage::{Reading, Unknown};

/// Of all rules.
pub(super) fn proposals(scene: &Scene<'_>, memory: &mut Memory, outcome: &mut Outcome) -> Vec<Proposal> {
    let mut found = Vec::new();
    for rule in &scene.policy.rules {
        look(scene, rule, memory, outcome, &mut found);
    }
    found
}

fn look(
    scene: &Scene<'_>,
    rule: &Rule,
    memory: &mut Memory,
    outcome: &mut Outcome,
    found: &mut Vec<Proposal>,
) {
    let not_before = memory.settled(rule.key, rule.entity);
    let needs = scene.needs(not_before);
    let checked = scene.index(rule.key).and_then(|index| index.coverage(&needs, scene.now).map(|_| index));
    let index = match checked {
        Ok(index) => index,
        Err(reason) => return outcome.verdicts.push(Verdict::unknown(rule, None, reason)),
    };
    let entities = candidates(rule, index.readings());
    outcome.seen.insert(rule.name.clone(), entities.len());
    if entities.is_empty() && !index.readings().any(|reading| rule.entity.is_named_by(&reading.client)) {
        return outcome.verdicts.push(Verdict::unknown(rule, None, Unknown::NoSeries));
    }
    let lacks = measure::lacks(scene, rule, &entities);
    let told = !lacks.is_empty();
    outcome.verdicts.extend(lacks.into_iter().map(|reason| Verdict::unknown(rule, None, reason)));
    let totals = index.totals(&needs, scene.now);
    // Whom it does measure it judges all the same.
    let hidden = nameless::hidden(scene, rule, index, &needs, &totals);
    let not_a_number = matches!(hidden, Some(Unknown::NotANumber { .. }));
    outcome.verdicts.extend(hidden.map(|reason| Verdict::unknown(rule, None, reason)));
    let mut view = View { patient: !memory.settles_on_and_on(scene, rule), ..View::default() };
    for entity in &entities {
        let measured = measure(scene, rule, entity, not_before, &totals);
        view.take(measured.as_ref().map(drop));
        if let Some(hold) = scene.ledger.holds.get(&slot(rule, entity)) {
            // Its own hold was tended already.
            if hold.rule != rule.name {
                let by = Block::OtherRule { rule: hold.rule.clone() };
                outcome.verdicts.push(Verdict::blocked(rule, entity, by));
            }
            continue;
        }
        let measured = match measured {
            Ok(measured) => measured,
            Err(reason) => {
                outcome.verdicts.push(Verdict::unknown(rule, Some(entity.clone()), reason));
                continue;
            }
        };
        let over = measured.value > rule.enter;
        let calm = measured.value <= rule.release;
        let key = (rule.name.clone(), entity.clone());
        let gap = scene.gap(rule);
        let track = memory.tracks.entry(key).or_default();
        let sample = Sample { over, calm, free: true };
        let confirmed = track.push(&measured.rates, sample, rule.confirm, gap);
        let count = track.over_count(rule.confirm);
        let rise = track.rise(&measured.rates, scene.now, scene.window.longest);
        if !confirmed {
            if over {
                outcome.verdicts.push(not_yet(rule, entity, &measured, count));
            }
            continue;
        }
        match judge(scene, rule, entity, &measured, over, rise) {
            Ok(proposal) => found.push(proposal),
            Err(verdict) => outcome.verdicts.push(*verdict),
        }
    }
    if view.measured {
        memory.note_measured(rule, scene.now);
    }
    // A rule that said already what it lacks needs no second reason.
    let blind = view.blind().filter(|_| !told && !not_a_number);
    outcome.verdicts.extend(blind.map(|reason| Verdict::unknown(rule, None, reason)));
}

/// How many of its clients a rule could measure.
#[derive(Default)]
struct View {
    measured: bool,
    /// That readings settle after a write is no reason: it passes by itself, unless somebody writes all the time.
    patient: bool,
    /// The first reason why one could not be.
    reason: Option<Unknown>,
}

impl View {
    fn take(&mut self, client: Result<(), &Unknown>) {
        match client {
            Ok(()) => self.measured = true,
            Err(Unknown::Settling { .. }) if self.patient => {}
            Err(reason) => drop(self.reason.get_or_insert_with(|| reason.clone())),
        }
    }

    /// Why none of them could be measured, if none could: then the rule is blind as a whole.
    fn blind(self) -> Option<Unknown> {
        self.reason.filter(|_| !self.measured)
    }
}

fn candidates<'a>(rule: &Rule, readings: impl Iterator<Item = &'a Reading>) -> BTreeSet<Entity> {
    readings
        .filter_map(|reading| Entity::of(rule.entity, &reading.client))
        .filter(|entity| rule.select.selects(entity))
        .collect()
}

fn not_yet(rule: &Rule, entity: &Entity, measured: &Measured, count: u32) -> Verdict {
    let why = format!(
        "{} is above {} in {count} of the last {} samples; {} are needed",
        value(rule, measured.value),
        value(rule, rule.enter),
        rule.confirm.n,
        rule.confirm.k
    );
    Verdict::of(rule, entity, State::Over, why).measured(measured)
}
