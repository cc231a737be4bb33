//! The value that a rule compares with its thresholds.

use std::collections::{BTreeMap, BTreeSet};

use super::Scene;
use crate::entity::Entity;
use crate::policy::{Limit, Measure, Policy, Rule};
use crate::quota::Key;
use crate::time::Timestamp;
use crate::usage::{BrokerId, Rates, Unknown};

/// What the rules of a policy need to know beside the quotas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Rates of these keys.
    pub keys: BTreeSet<Key>,
    /// Baselines for these rules.
    pub baselines: BTreeSet<String>,
    /// Answers to these rules' queries.
    pub queries: BTreeMap<String, String>,
    /// Burn rates of these SLOs.
    pub slos: BTreeSet<String>,
}

impl Needs {
    /// Of all rules.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let mut needs = Self::default();
        for rule in &policy.rules {
            needs.keys.insert(rule.key);
            if rule.measure == Measure::TimesBaseline || matches!(rule.limit, Limit::TimesBaseline(_)) {
                needs.baselines.insert(rule.name.clone());
            }
            if let Measure::Query(query) = &rule.measure {
                needs.queries.insert(rule.name.clone(), query.clone());
            }
            needs.slos.extend(rule.when.iter().map(|guard| guard.slo.clone()));
        }
        needs
    }
}

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
            let answers = scene.observation.answers.get(&rule.name);
            let answer = answers.and_then(|answers| answers.get(entity));
            let answer = answer
                .ok_or_else(|| Unknown::Missing { what: "the answer of the rule's query".to_owned() })?;
            if scene.now.since(answer.at) > needs.max_age {
                return Err(Unknown::Missing { what: "a recent answer of the rule's query".to_owned() });
            }
            rates.at = rates.at.min(answer.at);
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
