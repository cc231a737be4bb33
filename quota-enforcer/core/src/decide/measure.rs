//! The value that a rule compares with its thresholds.

use std::collections::{BTreeMap, BTreeSet};

use super::Scene;
use crate::entity::Entity;
use crate::policy::{BudgetGuard, Measure, Rule};
use crate::time::Timestamp;
use crate::usage::{Answer, BrokerId, Rates, Unknown};

/// A client as a rule measures it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    /// In the unit of the rule's thresholds.
    pub(super) value: f64,
    /// What the brokers' sensors say.
    pub(super) rates: Rates,
}

/// Measures one client.
pub(super) fn measure<'a>(
    scene: &Scene<'a>,
    rule: &Rule,
    entity: &'a Entity,
    not_before: Timestamp,
    totals: &Result<BTreeMap<BrokerId, f64>, Unknown>,
) -> Result<Measured, Unknown> {
    let needs = scene.needs(not_before);
    let mut rates = scene.index(rule.key)?.rates(entity, &needs, scene.now)?;
    let value = match &rule.measure {
        Measure::Total => rates.total(),
        Measure::WorstBroker => rates.worst(),
        Measure::ShareOfBroker => {
            let totals = totals.as_ref().map_err(Clone::clone)?;
            let share = |(broker, rate): (&BrokerId, &crate::usage::Rate)| {
                totals.get(broker).filter(|total| **total > 0.0).map_or(0.0, |total| rate.now / total)
            };
            rates.brokers.iter().map(share).fold(0.0, f64::max)
        }
        Measure::ShareOfCluster => {
            let total: f64 = totals.as_ref().map_err(Clone::clone)?.values().sum();
            if total > 0.0 { rates.total() / total } else { 0.0 }
        }
        Measure::TimesBaseline => rates.total() / baseline(scene, rule, entity)?,
        Measure::Query(_) => {
            let answer = answer(scene, rule, entity)?;
            (rates.at, rates.newest) = (rates.at.min(answer.at), rates.newest.max(answer.at));
            answer.value
        }
    };
    if value.is_finite() {
        Ok(Measured { value, rates })
    } else {
        Err(Unknown::Missing { what: "a finite value".to_owned() })
    }
}

/// The client's own baseline: positive, or not known.
pub(super) fn baseline(scene: &Scene<'_>, rule: &Rule, entity: &Entity) -> Result<f64, Unknown> {
    let baselines = scene.observation.baselines.get(&rule.name);
    baselines
        .and_then(|baselines| baselines.get(entity).copied())
        .filter(|baseline| baseline.is_finite() && *baseline > 0.0)
        .ok_or_else(|| Unknown::Missing { what: "the client's baseline".to_owned() })
}

/// How fast the guard's SLO burns.
pub(super) fn burn(scene: &Scene<'_>, guard: &BudgetGuard) -> Result<f64, Unknown> {
    let burn = scene.observation.burns.get(&guard.slo).copied().filter(|burn| burn.is_finite());
    burn.ok_or_else(|| Unknown::Missing { what: format!("the burn rate of SLO `{}`", guard.slo) })
}

/// What the rule's query answered for one client, not too long ago.
fn answer<'a>(scene: &Scene<'a>, rule: &Rule, entity: &Entity) -> Result<&'a Answer, Unknown> {
    let missing = |what: &str| Unknown::Missing { what: what.to_owned() };
    let answers = scene.observation.answers.get(&rule.name);
    let answer = answers
        .and_then(|answers| answers.get(entity))
        .ok_or_else(|| missing("the answer of the rule's query"))?;
    if scene.now.since(answer.at) > scene.policy.evidence.max_age {
        return Err(missing("a recent answer of the rule's query"));
    }
    Ok(answer)
}

/// What the rule needs beside rates and has for none of its clients: then it is blind as a whole. Where only some lack it, those
/// are unknown one by one, as a client whose baseline is young.
pub(super) fn lacks(scene: &Scene<'_>, rule: &Rule, entities: &BTreeSet<Entity>) -> Vec<Unknown> {
    let seen = scene.observation;
    let any = |has: &dyn Fn(&Entity) -> bool| entities.is_empty() || entities.iter().any(has);
    let mut lacks: Vec<Unknown> = rule.when.iter().filter_map(|guard| burn(scene, guard).err()).collect();
    let mut need = |has: bool, what: &str| {
        if !has {
            lacks.push(Unknown::Missing { what: what.to_owned() });
        }
    };
    if matches!(rule.measure, Measure::Query(_)) {
        let answered = seen.answers.contains_key(&rule.name);
        let usable = answered && any(&|entity| answer(scene, rule, entity).is_ok());
        need(usable, "what the rule's query says of its clients");
    }
    if rule.needs_baselines() {
        let made = seen.baselines.contains_key(&rule.name);
        need(
            made && any(&|entity| baseline(scene, rule, entity).is_ok()),
            "the baseline of any of its clients",
        );
    }
    lacks
}
