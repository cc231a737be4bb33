//! What was intended and done: the state that survives the process.
//!
//! The ledger is a set of facts by key, as a compacted topic keeps it: the last value of a key counts, no value removes
//! it. Facts that belong together are written in one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::Head;
use crate::entity::{Client, Entity, Kind};
use crate::quota::Slot;
use crate::time::Timestamp;

/// A quota of ours, from the first intent until it is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Whose quota of what.
    pub slot: Slot,
    /// What it is for.
    pub purpose: Purpose,
    /// The rule that wanted it.
    pub rule: String,
    /// The rule's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What stood in the slot before us; it comes back at the end. `None`: nothing did.
    pub prior: Option<f64>,
    /// Our value as it was read back last; `None` before the first write is confirmed.
    pub ours: Option<f64>,
    /// A write that is not confirmed yet.
    pub intent: Option<Intent>,
    /// Where it stands.
    pub phase: Phase,
    /// The bound on each broker that it is meant to reach, in the key's unit.
    pub target: f64,
    /// What the client may use over all brokers together, where the rule's limit says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The client's highest rate on one broker when it was caught.
    pub caught_at_rate: f64,
    /// What it used over all brokers then.
    #[serde(default)]
    pub caught_at_total: f64,
    /// When the first intent was written.
    pub since: Timestamp,
    /// Not released before.
    pub earliest: Timestamp,
    /// From here on it is probed whether the client has calmed down.
    pub until: Timestamp,
    /// Ends here whatever is known.
    pub expires: Timestamp,
    /// The how-manieth offence within the rule's memory; 1 is the first.
    pub offence: u32,
    /// How long the offence is remembered after its end.
    #[serde(default, rename = "memory_ms", with = "crate::time::as_millis")]
    pub memory: Duration,
    /// When the last write of ours was confirmed.
    pub written: Option<Timestamp>,
    /// When the metrics first showed that the bound of the last write holds.
    pub verified: Option<Timestamp>,
    /// When it was said that the bound does not bite.
    pub ineffective: Option<Timestamp>,
    /// Digest of the policy that it was written under.
    pub policy: String,
}

/// What a quota of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// To slow a client.
    Throttle,
    /// To make clients measurable: a default too high to bind anyone.
    Sentinel,
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The bound goes down in steps.
    Cutting,
    /// The bound is where it is meant to be.
    Holding,
    /// The bound goes up in steps, to see what the client wants.
    Probing,
    /// The quota is being taken away.
    Releasing,
    /// A human changed the quota: hands off until it is released by hand or expires.
    Lost,
}

impl Phase {
    /// In records and labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cutting => "cutting",
            Self::Holding => "holding",
            Self::Probing => "probing",
            Self::Releasing => "releasing",
            Self::Lost => "lost",
        }
    }
}

/// A write under way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// What must stand in the slot when it is sent.
    pub from: Option<f64>,
    /// What is to stand there; `None` removes the quota.
    pub to: Option<f64>,
    /// When it was intended.
    pub at: Timestamp,
    /// It was sent and no answer came: brokers may go on sending it, and it may be applied more than once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unanswered: bool,
}

impl Intent {
    /// Of a write that is not sent yet.
    #[must_use]
    pub fn new(from: Option<f64>, to: Option<f64>, at: Timestamp) -> Self {
        Self { from, to, at, unanswered: false }
    }
}

impl Hold {
    /// One that begins: nothing of it stands yet, and its times are to be set.
    #[must_use]
    pub fn begun(slot: Slot, purpose: Purpose, rule: &str, bound: f64, now: Timestamp) -> Self {
        Self {
            slot,
            purpose,
            rule: rule.to_owned(),
            owner: None,
            prior: None,
            ours: None,
            intent: Some(Intent::new(None, Some(bound), now)),
            phase: Phase::Cutting,
            target: bound,
            limit: None,
            caught_at_rate: 0.0,
            caught_at_total: 0.0,
            since: now,
            earliest: now,
            until: now,
            expires: now,
            offence: 1,
            memory: Duration::ZERO,
            written: None,
            verified: None,
            ineffective: None,
            policy: String::new(),
        }
    }

    /// The write under way lowers somebody's bound.
    #[must_use]
    pub fn tightens(&self) -> bool {
        let lowers = |Intent { from, to, .. }: Intent| to.is_some_and(|to| from.is_none_or(|from| to < from));
        self.purpose == Purpose::Throttle && self.intent.is_some_and(lowers)
    }
}

/// An offence that is over, remembered so that the next one is held longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offence {
    /// Of whom.
    pub slot: Slot,
    /// How many there were.
    pub count: u32,
    /// When the last one ended.
    pub ended: Timestamp,
    /// Forgotten from here on.
    pub forget: Timestamp,
}

/// A client that no rule touches for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exemption {
    /// Who. A user also exempts all pairs of that user.
    pub entity: Entity,
    /// Until when.
    pub until: Timestamp,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Nothing is tightened while this stands. Releases go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// The cluster whose quotas this ledger is about.
    pub cluster: String,
    /// Grows with each leader.
    pub epoch: u64,
    /// Which process.
    pub instance: String,
    /// Since when.
    pub since: Timestamp,
    /// How long it may act after the start of its last committed transaction, in milliseconds.
    pub lease_ms: u64,
    /// Base address of its API, if others can reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "lowercase")]
#[allow(clippy::large_enum_variant, reason = "facts are made and stored one at a time")]
pub enum Fact {
    /// A quota of ours.
    Hold(Hold),
    /// An offence remembered.
    Offence(Offence),
    /// A client exempted.
    Exemption(Exemption),
    /// Everything paused.
    Pause(Pause),
    /// Who leads.
    Leader(Leader),
    /// The end of the audit chain.
    Head(Head),
}

/// Where a fact is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "lowercase")]
pub enum FactKey {
    /// Of a hold.
    Hold(Slot),
    /// Of an offence.
    Offence(Slot),
    /// Of an exemption.
    Exemption {
        /// Of whom.
        entity: Entity,
    },
    /// Of the pause.
    Pause,
    /// Of the leader.
    Leader,
    /// Of the audit chain's end.
    Head,
}

impl Fact {
    /// Where it is kept.
    #[must_use]
    pub fn key(&self) -> FactKey {
        match self {
            Self::Hold(hold) => FactKey::Hold(hold.slot.clone()),
            Self::Offence(offence) => FactKey::Offence(offence.slot.clone()),
            Self::Exemption(exemption) => FactKey::Exemption { entity: exemption.entity.clone() },
            Self::Pause(_) => FactKey::Pause,
            Self::Leader(_) => FactKey::Leader,
            Self::Head(_) => FactKey::Head,
        }
    }
}

/// One change of the ledger.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "changes are made and written one at a time")]
pub enum Change {
    /// The fact holds from now on.
    Put(Fact),
    /// What this key said holds no more.
    Remove(FactKey),
}

/// Why a record of the ledger cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Its key is none of ours.
    #[error("the key `{key}` is none of a ledger")]
    Key {
        /// As read.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Its value is none of ours.
    #[error("the value of `{key}` is no fact")]
    Value {
        /// As read.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The value belongs under another key.
    #[error("the value of `{key}` belongs under another key")]
    Mismatch {
        /// As read.
        key: String,
    },
}

impl Change {
    /// As a record: key, and value or tombstone.
    ///
    /// # Errors
    /// Never for facts without NaN; serialization is fallible by type.
    pub fn encode(&self) -> Result<(String, Option<String>), serde_json::Error> {
        Ok(match self {
            Self::Put(fact) => (serde_json::to_string(&fact.key())?, Some(serde_json::to_string(fact)?)),
            Self::Remove(key) => (serde_json::to_string(key)?, None),
        })
    }

    /// From a record.
    ///
    /// # Errors
    /// When key or value are none of ours: a ledger that is not understood must not be acted on.
    pub fn decode(key: &str, value: Option<&str>) -> Result<Self, LedgerError> {
        let parsed: FactKey =
            serde_json::from_str(key).map_err(|source| LedgerError::Key { key: key.to_owned(), source })?;
        let Some(value) = value else { return Ok(Self::Remove(parsed)) };
        let fact: Fact = serde_json::from_str(value)
            .map_err(|source| LedgerError::Value { key: key.to_owned(), source })?;
        if fact.key() != parsed {
            return Err(LedgerError::Mismatch { key: key.to_owned() });
        }
        Ok(Self::Put(fact))
    }
}

/// All facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Quotas of ours.
    pub holds: BTreeMap<Slot, Hold>,
    /// Offences remembered.
    pub offences: BTreeMap<Slot, Offence>,
    /// Clients exempted.
    pub exemptions: BTreeMap<Entity, Exemption>,
    /// Everything paused.
    pub pause: Option<Pause>,
    /// Who leads.
    pub leader: Option<Leader>,
    /// The end of the audit chain.
    pub head: Option<Head>,
}

impl Ledger {
    /// Takes a change over.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Put(Fact::Hold(hold)) => drop(self.holds.insert(hold.slot.clone(), hold)),
            Change::Put(Fact::Offence(offence)) => drop(self.offences.insert(offence.slot.clone(), offence)),
            Change::Put(Fact::Exemption(exemption)) => {
                drop(self.exemptions.insert(exemption.entity.clone(), exemption));
            }
            Change::Put(Fact::Pause(pause)) => self.pause = Some(pause),
            Change::Put(Fact::Leader(leader)) => self.leader = Some(leader),
            Change::Put(Fact::Head(head)) => self.head = Some(head),
            Change::Remove(FactKey::Hold(slot)) => drop(self.holds.remove(&slot)),
            Change::Remove(FactKey::Offence(slot)) => drop(self.offences.remove(&slot)),
            Change::Remove(FactKey::Exemption { entity }) => drop(self.exemptions.remove(&entity)),
            Change::Remove(FactKey::Pause) => self.pause = None,
            Change::Remove(FactKey::Leader) => self.leader = None,
            Change::Remove(FactKey::Head) => self.head = None,
        }
    }

    /// The exemption that covers a client now, as far as it is known: its pair's, its user's, or its client id's.
    #[must_use]
    pub fn exemption(&self, client: &Client, now: Timestamp) -> Option<&Exemption> {
        let kinds = [Kind::Pair, Kind::User, Kind::ClientId].into_iter();
        let covering = kinds.filter_map(|kind| self.exemptions.get(&Entity::of(kind, client)?));
        covering.into_iter().find(|exemption| exemption.until > now)
    }

    /// The count of this offence, were it to begin now.
    #[must_use]
    pub fn offence_number(&self, slot: &Slot, now: Timestamp) -> u32 {
        match self.offences.get(slot) {
            Some(offence) if offence.forget > now => offence.count.saturating_add(1),
            _ => 1,
        }
    }

    /// Throttles that stand or are being set.
    pub fn throttles(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values().filter(|hold| hold.purpose == Purpose::Throttle && hold.phase != Phase::Lost)
    }
}
