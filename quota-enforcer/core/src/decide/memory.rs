//! What a process remembers between ticks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Scene;
use super::changes::Changes;
use super::named::NamedUsers;
use super::track::Track;
use crate::entity::{Entity, Kind};
use crate::policy::Rule;
use crate::quota::{Key, Slot};
use crate::resolve::Levels;
use crate::time::Timestamp;

/// What is remembered from tick to tick and may be lost: without it, clients are confirmed anew.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub(super) tracks: BTreeMap<(String, Entity), Track>,
    /// What labels of series follow: the levels in use, and the defaults.
    levels: BTreeMap<Key, (Levels, BTreeSet<Entity>)>,
    /// Readings of a key count from here on.
    settled: BTreeMap<Key, Timestamp>,
    /// Client ids whose series may have fallen silent.
    pub(super) named: NamedUsers,
    /// When quotas were tightened within the last minute.
    pub(super) changes: Changes,
    /// Since which sample the rate has been above a bound of ours.
    pub(super) above: BTreeMap<Slot, Timestamp>,
    /// When each rule could measure a client last, or began.
    measured: BTreeMap<String, Timestamp>,
}

impl Memory {
    /// Labels of series follow the levels and defaults at which quotas exist: when those change, by whoever's hand, series move, and
    /// until fresh scrapes agree their rates say nothing.
    pub(super) fn notice_levels(&mut self, scene: &Scene<'_>) {
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

    /// From when on readings of entities of this kind count.
    pub(super) fn settled(&self, key: Key, kind: Kind) -> Timestamp {
        let settled = self.settled.get(&key).copied().unwrap_or(Timestamp(i64::MIN));
        // Whoever has a quota of their own takes series away from client ids only.
        if kind == Kind::ClientId { settled.max(self.named.settled(key)) } else { settled }
    }

    /// A rule could measure a client.
    pub(super) fn note_measured(&mut self, rule: &Rule, now: Timestamp) {
        self.measured.insert(rule.name.clone(), now);
    }

    /// A rule could measure nobody for longer than one quota write lets readings settle.
    pub(super) fn settles_on_and_on(&mut self, scene: &Scene<'_>, rule: &Rule) -> bool {
        let last = *self.measured.entry(rule.name.clone()).or_insert(scene.now);
        scene.now.since(last) > scene.settle().saturating_mul(2)
    }

    /// Clients that were not seen for a while, and rules that are gone.
    pub(super) fn forget(&mut self, scene: &Scene<'_>) {
        self.measured.retain(|rule, _| scene.rule(rule).is_some());
        let patience = scene.policy.evidence.max_age.saturating_mul(20).max(Duration::from_secs(600));
        self.tracks
            .retain(|(rule, _), track| scene.rule(rule).is_some() && scene.now.since(track.last) < patience);
    }
}
