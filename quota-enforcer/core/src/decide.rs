//! What to do now: a pure function of policy, observation, ledger, memory and time.
//!
//! Each tick every hold is tended first (is it still ours, does it bite, is the next step due, has the client calmed
//! down), then every rule looks at its clients, and what it would throttle goes through the guards: protection,
//! exemption, pause, budget, hazards of the write, caps. Every client that is not calm gets a verdict with the reason.

mod caps;
mod changes;
mod enter;
mod measure;
mod sentinel;
mod spread;
mod tend;
mod track;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::allot;
use crate::audit::Event;
use crate::entity::Entity;
use crate::hazard::Hazard;
use crate::ledger::{Hold, Ledger, Phase};
use crate::policy::{Policy, Rule};
use crate::quota::{Key, Slot, Snapshot};
use crate::resolve::{self, Levels};
use crate::step::{Safety, Window};
use crate::time::Timestamp;
use crate::usage::{Answer, BrokerId, Index, Rates, Requirements, Unknown, Usage};

use changes::Changes;
use measure::baseline;
pub use track::REACTION;
use track::Track;

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
}

/// What is remembered from tick to tick and may be lost: without it, clients are confirmed anew.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    tracks: BTreeMap<(String, Entity), Track>,
    /// What labels of series follow: the levels in use, and the defaults.
    levels: BTreeMap<Key, (Levels, BTreeSet<Entity>)>,
    /// Readings of a key count from here on.
    settled: BTreeMap<Key, Timestamp>,
    /// When quotas were tightened within the last minute.
    changes: Changes,
    /// Since which sample the rate has been above a bound of ours.
    above: BTreeMap<Slot, Timestamp>,
}

impl Memory {
    /// How many clients are tracked.
    #[must_use]
    pub fn tracked(&self) -> usize {
        self.tracks.len()
    }
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

/// What is thought of one client by one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rule.
    pub rule: String,
    /// The client; `None`: about the rule as a whole.
    pub entity: Option<Entity>,
    /// What the rule limits.
    pub key: Key,
    /// What it is.
    pub state: State,
    /// The measured value, in the unit of the rule's thresholds.
    pub value: Option<f64>,
    /// The rates it was taken from.
    pub rates: Option<Rates>,
    /// In words.
    pub why: String,
}

/// Where a client stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Nothing can be said, so nothing is done.
    Unknown {
        /// Why.
        reason: Unknown,
    },
    /// Over the threshold, not confirmed yet.
    Over,
    /// Confirmed by a rule that observes: nobody is told.
    Observed,
    /// Confirmed; the rule's mode goes no further.
    Flagged,
    /// Confirmed, and something keeps it from being throttled.
    Blocked {
        /// What.
        by: Block,
    },
    /// A throttle begins now.
    Caught,
    /// Held.
    Held {
        /// Where the hold stands.
        phase: Phase,
    },
    /// Held, and the bound does not bite.
    Ineffective,
}

impl State {
    /// In labels.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Over => "over",
            Self::Observed => "observed",
            Self::Flagged => "flagged",
            Self::Blocked { .. } => "blocked",
            Self::Caught => "caught",
            Self::Held { .. } => "held",
            Self::Ineffective => "ineffective",
        }
    }
}

/// What keeps a confirmed client from being throttled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "block", rename_all = "snake_case")]
pub enum Block {
    /// It is protected.
    Protected {
        /// By which pattern.
        pattern: String,
    },
    /// It is exempted.
    Exempt {
        /// Until when.
        until: Timestamp,
    },
    /// Enforcement is paused.
    Paused,
    /// The budget does not burn fast enough.
    Budget {
        /// Burn rate now.
        burn: f64,
    },
    /// Something else than this client: not the leader, a custom callback, a ledger that cannot be written.
    Enforcement {
        /// In words.
        why: String,
    },
    /// A write would do something else, too.
    Hazards {
        /// In words.
        hazards: Vec<String>,
    },
    /// A cap is reached.
    Cap {
        /// Which.
        cap: Cap,
    },
    /// A bound that would bite lies below what is safe to set.
    Floor {
        /// The lowest safe bound on a broker; absent where any would be too low.
        floor: Option<f64>,
    },
    /// It uses no more than the limit would give it.
    WithinLimit,
    /// Another rule holds the same slot.
    OtherRule {
        /// Which.
        rule: String,
    },
}

/// What bounds how much is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// Throttles at the same time.
    Throttles,
    /// Share of clients.
    ShareOfClients,
    /// Share of traffic.
    ShareOfTraffic,
    /// Quota writes a minute.
    ChangesPerMinute,
}

impl Cap {
    /// In labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttles => "throttles",
            Self::ShareOfClients => "share_of_clients",
            Self::ShareOfTraffic => "share_of_traffic",
            Self::ChangesPerMinute => "changes_per_minute",
        }
    }
}

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

    /// Nobody's bound may be lowered now, whatever clients do.
    fn tightens_nothing(&self) -> bool {
        self.ledger.pause.is_some() || !self.observation.blockers.is_empty()
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
            outcome.verdicts.push(unknown(rule, None, Unknown::Missing { what: what.to_owned() }));
        }
        return outcome;
    };
    let brokers: BTreeSet<BrokerId> = observation.brokers.keys().copied().collect();
    let indexes = observation.usage.iter().map(|(key, usage)| (*key, Index::new(usage, &brokers))).collect();
    let quotas = Key::ALL.into_iter().map(|key| (key, resolve::Index::new(snapshot, key))).collect();
    let scene = Scene { policy, observation, snapshot, ledger, indexes, quotas, window, now };

    memory.notice_levels(&scene);
    memory.above.retain(|slot, _| ledger.holds.contains_key(slot));
    memory.changes.notice(ledger, now);
    tend::holds(&scene, memory, &mut outcome);
    sentinel::wanted(&scene, &mut outcome);
    let proposals = enter::proposals(&scene, memory, &mut outcome);
    caps::admit(&scene, memory, proposals, &mut outcome);
    memory.forget(&scene);

    // What frees a client goes before what binds one.
    outcome.acts.sort_by_key(Act::tightens);
    outcome
}

impl Memory {
    /// Labels of series follow the levels and defaults at which quotas exist: when those change, by whoever's hand, series move, and
    /// until fresh scrapes agree their rates say nothing.
    fn notice_levels(&mut self, scene: &Scene<'_>) {
        for (&key, quotas) in &scene.quotas {
            let defaults = quotas.iter().map(|(entity, _)| entity).filter(|entity| entity.is_default());
            let seen = (quotas.levels(), defaults.cloned().collect::<BTreeSet<_>>());
            let before = self.levels.get(&key).map(|before| *before == seen);
            self.levels.insert(key, seen);
            if before == Some(false) {
                self.settled.insert(key, scene.now + scene.settle());
            } else if before.is_none() {
                // A process before this one may have written a moment ago.
                let written = scene.ledger.holds.values().filter(|hold| hold.slot.key == key);
                let ended = scene.ledger.offences.values().filter(|offence| offence.slot.key == key);
                let last =
                    written.filter_map(|hold| hold.written).chain(ended.map(|offence| offence.ended)).max();
                if let Some(last) = last {
                    self.settled.insert(key, last + scene.settle());
                }
            }
        }
    }

    fn settled(&self, key: Key) -> Timestamp {
        self.settled.get(&key).copied().unwrap_or(Timestamp(i64::MIN))
    }

    /// Clients that were not seen for a while, and rules that are gone.
    fn forget(&mut self, scene: &Scene<'_>) {
        let patience = scene.policy.evidence.max_age.saturating_mul(20).max(Duration::from_secs(600));
        self.tracks
            .retain(|(rule, _), track| scene.rule(rule).is_some() && scene.now.since(track.last) < patience);
    }
}

fn unknown(rule: &Rule, entity: Option<Entity>, reason: Unknown) -> Verdict {
    let why = reason.to_string();
    Verdict {
        rule: rule.name.clone(),
        entity,
        key: rule.key,
        state: State::Unknown { reason },
        value: None,
        rates: None,
        why,
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected { pattern } => write!(f, "protected by {pattern}"),
            Self::Exempt { until } => write!(f, "exempted until {until}"),
            Self::Paused => f.write_str("enforcement is paused"),
            Self::Budget { burn } => write!(f, "the rule's SLO burns only at {burn:.2}"),
            Self::Enforcement { why } => f.write_str(why),
            Self::Hazards { hazards } => f.write_str(&hazards.join("; ")),
            Self::Cap { cap } => write!(f, "the cap `{}` is reached: nothing new is done", cap.name()),
            Self::Floor { floor: Some(floor) } => {
                write!(f, "no bound below its rate is safe: the lowest is {floor:.0} on each broker")
            }
            Self::Floor { floor: None } => f.write_str("any bound below its rate is below its floor"),
            Self::WithinLimit => f.write_str("it uses no more than the limit would give it"),
            Self::OtherRule { rule } => write!(f, "rule `{rule}` holds this quota"),
        }
    }
}

/// Hazards in words.
pub(crate) fn words(hazards: &[Hazard]) -> Vec<String> {
    hazards.iter().map(ToString::to_string).collect()
}

/// The slot a rule would write for an entity.
pub(crate) fn slot(rule: &Rule, entity: &Entity) -> Slot {
    Slot { entity: entity.clone(), key: rule.key }
}
