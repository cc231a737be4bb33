//! Everything that is known of one entity, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use quota_enforcer_core::decide::{State, Verdict};
use quota_enforcer_core::entity::{Client, Entity};
use quota_enforcer_core::hazard;
use quota_enforcer_core::ledger::{Exemption, Hold, Offence};
use quota_enforcer_core::policy::Rule;
use quota_enforcer_core::quota::{Key, Slot};
use quota_enforcer_core::resolve;
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::{BrokerId, Index, Requirements, Unknown};
use serde::{Deserialize, Serialize};

use super::Seen;
use crate::status::RuleInfo;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Who.
    pub entity: Entity,
    /// When it was so.
    pub at: Timestamp,
    /// The pattern that keeps every rule away from it.
    pub protected: Option<String>,
    /// The exemption that covers it.
    pub exemption: Option<Exemption>,
    /// Quota by quota.
    pub keys: Vec<OfKey>,
    /// What could not be read.
    pub faults: Vec<String>,
}

/// What is known about one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfKey {
    /// Which.
    pub key: Key,
    /// Whether the cluster's quotas could be read; if not, what binds is unknown.
    pub quotas_known: bool,
    /// What binds; absent where nothing does.
    pub binds: Option<Bound>,
    /// What would bind if that were not there; the next one first.
    pub shadowed: Vec<Bound>,
    /// What may bind some of its connections instead.
    pub unsure: Vec<Bound>,
    /// Why its rates are no evidence, if they are none.
    pub unknown: Option<String>,
    /// By broker.
    pub usage: Vec<OnBroker>,
    /// Rules for entities like it.
    pub rules: Vec<OfRule>,
    /// The quota of ours.
    pub hold: Option<Hold>,
    /// The offence remembered.
    pub offence: Option<Offence>,
    /// What a bound of its own would do besides slowing it.
    pub write: Option<Write>,
}

/// A quota that stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Whose.
    pub entity: Entity,
    /// On each broker, in the key's unit.
    pub value: f64,
}

/// What it uses of one broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnBroker {
    /// Which.
    pub broker: BrokerId,
    /// In the key's unit; absent where a reading is no number.
    pub rate: Option<f64>,
    /// The highest within the look-back.
    pub peak: Option<f64>,
    /// The oldest of the readings.
    pub at: Timestamp,
}

/// What one rule makes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfRule {
    /// Which.
    #[serde(flatten)]
    pub info: RuleInfo,
    /// Its own baseline, in the key's unit, where the rule has one.
    pub baseline: Option<f64>,
    /// What the rule thinks; absent: it is calm, or not measured where [`OfKey::unknown`] says why.
    pub verdict: Option<Verdict>,
}

/// A write of its own quota, as it would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// The bound on each broker that was looked at.
    pub to: f64,
    /// What speaks against it, in words; empty: nothing.
    pub hazards: Vec<String>,
}

/// Explains.
#[must_use]
pub fn explain(entity: &Entity, seen: &Seen) -> Explanation {
    let at = seen.tick.at;
    Explanation {
        entity: entity.clone(),
        at,
        protected: seen.policy.protected.find(entity),
        exemption: seen.ledger.exemption(&entity.client(), at).cloned(),
        keys: Key::ALL.into_iter().map(|key| of_key(entity, key, seen)).collect(),
        faults: seen.tick.faults.clone(),
    }
}

fn of_key(entity: &Entity, key: Key, seen: &Seen) -> OfKey {
    let slot = Slot { entity: entity.clone(), key };
    let observation = &seen.tick.observation;
    let hold = seen.ledger.holds.get(&slot).cloned();
    let mut explained = OfKey {
        key,
        quotas_known: false,
        binds: None,
        shadowed: Vec::new(),
        unsure: Vec::new(),
        unknown: None,
        usage: Vec::new(),
        rules: Vec::new(),
        offence: seen.ledger.offences.get(&slot).cloned(),
        write: None,
        hold,
    };
    let brokers: BTreeSet<BrokerId> = observation.brokers.keys().copied().collect();
    let quotas = observation.snapshot.as_ref().map(|snapshot| resolve::Index::new(snapshot, key));
    let index = observation.usage.get(&key).map(|usage| Index::new(usage, &brokers, quotas.as_ref()));
    match &index {
        Some(index) => {
            let evidence = &seen.policy.evidence;
            let needs = Requirements {
                max_age: evidence.max_age,
                coverage: evidence.coverage,
                not_before: Timestamp(i64::MIN),
            };
            explained.unknown = index.rates(entity, &needs, seen.tick.at).err().map(|why| why.to_string());
            explained.usage = usage(entity, index);
        }
        None => explained.unknown = Some(format!("no rule measures {key}, or its usage could not be read")),
    }
    explained.rules = of_rules(entity, key, seen, explained.unknown.is_none());
    if let Some(quotas) = &quotas {
        binding(entity, quotas, &mut explained);
        explained.write = write(entity, seen, quotas, index.as_ref(), &explained);
    }
    explained
}

fn binding(entity: &Entity, quotas: &resolve::Index<'_>, explained: &mut OfKey) {
    explained.quotas_known = true;
    let bound = |(entity, value): (&Entity, f64)| Bound { entity: entity.clone(), value };
    if entity.is_default() {
        // It binds whoever has nothing more specific; nothing binds it.
        explained.binds = quotas.get(entity).map(|value| bound((entity, value)));
        return;
    }
    let effective = quotas.effective(&entity.client());
    explained.binds = effective.binding.map(bound);
    explained.shadowed = effective.shadowed.into_iter().map(bound).collect();
    explained.unsure = effective.unsure.into_iter().map(bound).collect();
}

fn usage(entity: &Entity, index: &Index<'_>) -> Vec<OnBroker> {
    let mut brokers: BTreeMap<BrokerId, OnBroker> = BTreeMap::new();
    for reading in index.readings_of(entity) {
        let number = |value: f64| Some(value).filter(|value| value.is_finite());
        let add = |sum: Option<f64>, value: f64| Some(sum? + number(value)?);
        brokers
            .entry(reading.broker)
            .and_modify(|on| {
                on.rate = add(on.rate, reading.rate);
                on.peak = add(on.peak, reading.peak);
                on.at = on.at.min(reading.at);
            })
            .or_insert(OnBroker {
                broker: reading.broker,
                rate: number(reading.rate),
                peak: number(reading.peak),
                at: reading.at,
            });
    }
    brokers.into_values().collect()
}

fn of_rules(entity: &Entity, key: Key, seen: &Seen, measured: bool) -> Vec<OfRule> {
    let concerns = |rule: &&Rule| {
        rule.key == key && rule.entity == entity.kind() && rule.select.selects(entity) && !entity.is_default()
    };
    // Among the series that name nobody is none of who is measured.
    let elsewhere = |verdict: &Verdict| {
        measured && matches!(verdict.state, State::Unknown { reason: Unknown::Nameless { .. } })
    };
    let explain = |rule: &Rule| {
        let verdicts = seen.tick.outcome.verdicts.iter().filter(|verdict| verdict.rule == rule.name);
        let own = verdicts.clone().find(|verdict| verdict.entity.as_ref() == Some(entity));
        OfRule {
            info: RuleInfo::of(rule),
            baseline: seen
                .tick
                .observation
                .baselines
                .get(&rule.name)
                .and_then(|baselines| baselines.get(entity))
                .copied(),
            verdict: own
                .or_else(|| verdicts.clone().find(|verdict| verdict.entity.is_none() && !elsewhere(verdict)))
                .cloned(),
        }
    };
    seen.policy.rules.iter().filter(concerns).map(explain).collect()
}

/// Looks at the bound that stands, or else at one of what the busiest broker gives now: lower ones have the same hazards.
fn write(
    entity: &Entity,
    seen: &Seen,
    quotas: &resolve::Index<'_>,
    index: Option<&Index<'_>>,
    explained: &OfKey,
) -> Option<Write> {
    if entity.is_default() {
        return None;
    }
    let ours = explained.hold.as_ref().and_then(|hold| hold.ours);
    let worst = explained.usage.iter().filter_map(|on| on.rate).reduce(f64::max);
    let to = explained.key.rounded(ours.or(worst)?);
    let own = entity.client();
    let members: BTreeSet<&Client> = index
        .into_iter()
        .flat_map(|index| index.readings_of(entity))
        .map(|reading| &reading.client)
        .collect();
    let members: Vec<&Client> = if members.is_empty() { vec![&own] } else { members.into_iter().collect() };
    let hazards = hazard::check(quotas, entity, to, ours, &members, &seen.policy);
    Some(Write { to, hazards: hazards.iter().map(ToString::to_string).collect() })
}
