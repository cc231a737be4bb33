//! Clients that a rule cannot see: their series do not name what it goes by.
//!
//! Labels follow the levels at which quotas stand. Where one user has a quota and client ids have a default, that user's
//! clients are measured by user, and everybody else's by client id: a rule for users sees one of them.

use std::collections::BTreeMap;

use super::Scene;
use crate::entity::{Client, Entity};
use crate::policy::{Measure, Rule};
use crate::usage::{BrokerId, Index, Reading, Requirements, Unknown};

/// That a client over the rule's threshold may hide among the series that name none of its kind. Whom the rule selects does not
/// matter: nobody knows whose these are. They are taken for those of one client; what is protected no rule touches, what
/// another rule of the same key looks at is seen, and what was measured under other quotas, or is zero, hides nobody.
pub(super) fn hidden(
    scene: &Scene<'_>,
    rule: &Rule,
    index: &Index<'_>,
    needs: &Requirements,
    totals: &Result<BTreeMap<BrokerId, f64>, Unknown>,
) -> Option<Unknown> {
    let counts = |reading: &&Reading| {
        !rule.entity.is_named_by(&reading.client)
            && scene.observation.brokers.contains_key(&reading.broker)
            && reading.rate != 0.0
            && reading.at >= needs.not_before
            && scene.now.since(reading.at) <= needs.max_age
    };
    let mut readings: Vec<&Reading> = index.readings().filter(counts).collect();
    if !exceed(rule, &readings, totals) {
        return None;
    }
    let mut spared: BTreeMap<&Client, bool> = BTreeMap::new();
    readings.retain(|reading| {
        let spares = || {
            scene.policy.protected.find_client(&reading.client).is_some()
                || scene
                    .policy
                    .rules
                    .iter()
                    .any(|other| other.key == rule.key && sees(other, &reading.client))
        };
        !*spared.entry(&reading.client).or_insert_with(spares)
    });
    if !exceed(rule, &readings, totals) {
        return None;
    }
    let rate = by_broker(&readings).values().sum::<f64>();
    if let Some(bad) = readings.iter().find(|reading| !is_number(reading)) {
        return Some(Unknown::NotANumber { broker: bad.broker });
    }
    Some(Unknown::Nameless { series: readings.len(), rate, key: rule.key, entity: rule.entity })
}

fn sees(rule: &Rule, client: &Client) -> bool {
    Entity::of(rule.entity, client).is_some_and(|entity| rule.select.selects(&entity))
}

/// One client with all these readings would be over, by the rule's measure; what is no number, and a share of what is not known, may
/// be anything. Of a client without a name there is neither a baseline nor an answer of a query, so that any could be over: only
/// those count that get more than the rule's floor, for below it nobody is throttled.
fn exceed(rule: &Rule, readings: &[&Reading], totals: &Result<BTreeMap<BrokerId, f64>, Unknown>) -> bool {
    if readings.iter().any(|reading| !is_number(reading)) {
        return true;
    }
    let rates = by_broker(readings);
    let total: f64 = rates.values().sum();
    let worst = rates.values().copied().fold(0.0, f64::max);
    match (&rule.measure, totals) {
        (Measure::Total, _) => total > rule.enter,
        (Measure::WorstBroker, _) => worst > rule.enter,
        (Measure::ShareOfBroker, Ok(totals)) => rates
            .iter()
            .any(|(broker, rate)| totals.get(broker).is_some_and(|total| *rate > rule.enter * total)),
        (Measure::ShareOfCluster, Ok(totals)) => total > rule.enter * totals.values().sum::<f64>(),
        (Measure::ShareOfBroker | Measure::ShareOfCluster, Err(_)) => total > 0.0,
        (Measure::TimesBaseline | Measure::Query(_), _) => worst > rule.floor.bound,
    }
}

fn by_broker(readings: &[&Reading]) -> BTreeMap<BrokerId, f64> {
    let mut rates = BTreeMap::new();
    for reading in readings {
        *rates.entry(reading.broker).or_insert(0.0) += reading.rate;
    }
    rates
}

fn is_number(reading: &Reading) -> bool {
    reading.rate.is_finite() && reading.rate >= 0.0
}
