//! What to do now: a pure function of policy, observation, ledger, memory and time.
//!
//! Each tick every hold is tended first (is it still ours, does it bite, is the next step due, has the client calmed
//! down), then every rule looks at its clients, and what it would throttle goes through the guards: protection,
//! exemption, pause, budget, hazards of the write, caps. Every client that is not calm gets a verdict with the reason, and so
//! does every rule that cannot see all of its clients.

mod act;
mod caps;
mod changes;
mod enter;
mod judge;
mod measure;
mod memory;
mod named;
mod nameless;
mod sentinel;
mod spread;
mod tend;
mod track;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::allot;
use crate::entity::{Client, Entity};
use crate::hazard::Hazard;
use crate::ledger::{Exemption, Ledger};
use crate::policy::{Policy, Rule};
use crate::quota::{Key, Slot, Snapshot};
use crate::resolve;
use crate::step::{Safety, Window};
use crate::time::Timestamp;
use crate::usage::{Answer, BrokerId, Index, Rates, Requirements, Unknown, Usage};

pub use act::Act;
use measure::baseline;
pub use memory::Memory;
pub use track::REACTION;
pub use verdict::{Block, Cap, State, Verdict};

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Rates by key. A key that is absent could not be read.
    pub usage: BTreeMap<Key, Usage>,
    /// The quotas of the cluster; `None` when they could not be read.
    pub snapshot: Option<Snapshot>,
    /// The live brokers and the window that each measures over.
    pub brokers: BTreeMap<BrokerId, Window>,
    /// Baselines by rule.
    pub baselines: BTreeMap<String, BTreeMap<Entity, f64>>,
    /// Answers of query measures by rule.
    pub answers: BTreeMap<String, BTreeMap<Entity, Answer>>,
    /// Burn rates by SLO.
    pub burns: BTreeMap<String, f64>,
    /// Why nothing may be tightened now, whatever the clients do.
    pub blockers: Vec<String>,
    /// Quotas whose last write did not come about, with what became of it: they are not written for now.
    pub refused: BTreeMap<Slot, String>,
}

/// What was decided.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// About every client of every rule that is not calm, and about rules as a whole.
    pub verdicts: Vec<Verdict>,
    /// What to do, releases first.
    pub acts: Vec<Act>,
    /// Caps that kept something from being done.
    pub capped: Vec<Cap>,
    /// How many clients each rule saw.
    pub seen: BTreeMap<String, usize>,
}

/// What all parts of one decision look at.
pub(crate) struct Scene<'a> {
    policy: &'a Policy,
    observation: &'a Observation,
    snapshot: &'a Snapshot,
    ledger: &'a Ledger,
    /// Readings by key.
    indexes: BTreeMap<Key, Index<'a>>,
    /// Quotas by key.
    quotas: BTreeMap<Key, resolve::Index<'a>>,
    window: Window,
    now: Timestamp,
}

impl<'a> Scene<'a> {
    /// How long after a quota write readings say nothing.
    fn settle(&self) -> Duration {
        settle(self.policy, self.window)
    }

    fn needs(&self, not_before: Timestamp) -> Requirements {
        let evidence = &self.policy.evidence;
        Requirements { max_age: evidence.max_age, coverage: evidence.coverage, not_before }
    }

    fn index(&self, key: Key) -> Result<&Index<'a>, Unknown> {
        self.indexes
            .get(&key)
            .ok_or_else(|| Unknown::Missing { what: format!("usage for {key} could not be read, and so") })
    }

    /// What each write for this rule has to respect.
    fn safety(&self, rule: &Rule) -> Safety {
        Safety { window: self.window, burst: rule.burst, bound: self.policy.mute }
    }

    /// The lowest bound that this rule may set on a broker for a client with these rates; infinite when any bound would be too low.
    fn floor(&self, rule: &Rule, entity: &Entity, rates: &Rates) -> Result<f64, Unknown> {
        let safe = if rule.key.mute_is_bounded_by_broker() { 0.0 } else { self.safety(rule).floor() };
        let own = match rule.floor.times_baseline {
            None => 0.0,
            Some(factor) => allot::per_broker(factor * baseline(self, rule, entity)?, &rates.by_broker())
                .unwrap_or(f64::INFINITY),
        };
        Ok(rule.floor.bound.max(safe).max(own))
    }

    /// By how much a sensor may exceed a bound that holds: what the client's connections add at once, over the shortest time that a
    /// rate is taken over.
    fn swing(&self, rule: &Rule) -> f64 {
        if rule.key.mute_is_bounded_by_broker() {
            0.0
        } else {
            rule.burst.bytes() / self.window.shortest.as_secs_f64().max(1.0)
        }
    }

    /// What keeps this quota from being lowered now, whatever its client does.
    fn forbids(&self, slot: &Slot) -> Option<Block> {
        if self.ledger.pause.is_some() {
            return Some(Block::Paused);
        }
        let why = self.observation.blockers.first().or_else(|| self.observation.refused.get(slot))?;
        Some(Block::Enforcement { why: why.clone() })
    }

    /// The tags of the sensors of the rule's key that the entity covers: whoever a quota would bind, as far as it has such a sensor.
    fn members<'s>(&'s self, rule: &Rule, entity: &'s Entity) -> Vec<&'s Client> {
        let index = self.index(rule.key).ok();
        index.into_iter().flat_map(|index| index.readings_of(entity)).map(|reading| &reading.client).collect()
    }

    /// The exemption of an entity, or of a client that its quota would bind.
    fn exemption(&self, rule: &Rule, entity: &Entity) -> Option<&Exemption> {
        let of = |client: &Client| self.ledger.exemption(client, self.now);
        of(&entity.client()).or_else(|| self.members(rule, entity).into_iter().find_map(of))
    }

    /// A client that was not sampled for longer is confirmed anew.
    fn gap(&self, rule: &Rule) -> Duration {
        self.policy.evidence.max_age.saturating_mul(rule.confirm.n.max(1))
    }

    fn rule(&self, name: &str) -> Option<&'a Rule> {
        self.policy.rules.iter().find(|rule| rule.name == name)
    }
}

/// How long after a quota write readings say nothing: the brokers' window, and some scrapes.
#[must_use]
pub fn settle(policy: &Policy, window: Window) -> Duration {
    let scrapes = policy.evidence.scrape_interval.saturating_mul(policy.evidence.settle_scrapes);
    window.longest.saturating_add(scrapes)
}

/// Decides.
#[must_use]
pub fn decide(
    policy: &Policy,
    observation: &Observation,
    ledger: &Ledger,
    memory: &mut Memory,
    now: Timestamp,
) -> Outcome {
    let mut outcome = Outcome::default();
    let (Some(snapshot), Some(window)) =
        (&observation.snapshot, Window::worst(observation.brokers.values().copied()))
    else {
        let what =
            if observation.snapshot.is_none() { "the cluster's quotas" } else { "the cluster's brokers" };
        for rule in &policy.rules {
            outcome.verdicts.push(Verdict::unknown(rule, None, Unknown::Missing { what: what.to_owned() }));
        }
        return outcome;
    };
    let brokers: BTreeSet<BrokerId> = observation.brokers.keys().copied().collect();
    let quotas: BTreeMap<Key, resolve::Index<'_>> =
        Key::ALL.into_iter().map(|key| (key, resolve::Index::new(snapshot, key))).collect();
    let usage = observation.usage.iter();
    let indexes = usage.map(|(key, usage)| (*key, Index::new(usage, &brokers, quotas.get(key)))).collect();
    let scene = Scene { policy, observation, snapshot, ledger, indexes, quotas, window, now };

    memory.notice_levels(&scene);
    memory.named.notice(&scene);
    memory.above.retain(|slot, _| ledger.holds.contains_key(slot));
    memory.changes.notice(ledger, now);
    tend::holds(&scene, memory, &mut outcome);
    tend::hold_back(&scene, &mut outcome);
    sentinel::wanted(&scene, &mut outcome);
    let proposals = enter::proposals(&scene, memory, &mut outcome);
    caps::admit(&scene, memory, proposals, &mut outcome);
    memory.forget(&scene);

    // What frees a client goes before what binds one.
    outcome.acts.sort_by_key(Act::tightens);
    outcome
}

/// Hazards in words.
pub(crate) fn words(hazards: &[Hazard]) -> Vec<String> {
    hazards.iter().map(ToString::to_string).collect()
}

/// The slot a rule would write for an entity.
pub(crate) fn slot(rule: &Rule, entity: &Entity) -> Slot {
    Slot { entity: entity.clone(), key: rule.key }
}
