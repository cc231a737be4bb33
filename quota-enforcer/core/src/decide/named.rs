//! Client ids whose series fall silent because somebody gave their user a quota.
//!
//! A quota of a named user outranks those of client ids. From then on Kafka measures that user's clients under `user`; the
//! sensors of their client ids stay for an hour, fall to zero, and look like those of clients that have calmed down. Which
//! client ids a user has, no label tells.

use std::collections::{BTreeMap, BTreeSet};

use super::Scene;
use crate::entity::{Entity, Kind, Part};
use crate::ledger::Phase;
use crate::quota::{Key, Slot};
use crate::time::Timestamp;
use crate::usage::Rates;

/// The quotas of named users that are not ours, and what they make doubtful. May be lost: then zeros are doubted.
#[derive(Clone, Debug, Default)]
pub(super) struct NamedUsers {
    of_key: BTreeMap<Key, Named>,
    /// When each client id that is held was last measured above zero by its client id alone.
    alive: BTreeMap<Slot, Timestamp>,
}

#[derive(Clone, Debug)]
struct Named {
    quotas: BTreeSet<Entity>,
    /// Readings by client id alone count from here on.
    settled: Timestamp,
    /// A zero is evidence only of client ids that were above zero from here on; `None`: of all, for no user has a quota.
    doubted: Option<Timestamp>,
}

impl NamedUsers {
    /// Looks at quotas and at the client ids that are held.
    pub(super) fn notice(&mut self, scene: &Scene<'_>) {
        for &key in scene.quotas.keys() {
            self.notice_quotas(scene, key);
        }
        self.alive.retain(|slot, _| scene.ledger.holds.contains_key(slot));
        for slot in scene.ledger.holds.keys().filter(|slot| slot.entity.kind() == Kind::ClientId) {
            let Ok(index) = scene.index(slot.key) else { continue };
            let alone = index.readings_of(&slot.entity).filter(|reading| reading.client.user.is_none());
            let alive = alone.filter(|reading| reading.rate.is_finite() && reading.rate > 0.0);
            if let Some(at) = alive.map(|reading| reading.at).max() {
                let last = self.alive.entry(slot.clone()).or_insert(at);
                *last = at.max(*last);
            }
        }
    }

    fn notice_quotas(&mut self, scene: &Scene<'_>, key: Key) {
        let ours = |entity: &Entity| {
            let hold = scene.ledger.holds.get(&Slot { entity: entity.clone(), key });
            hold.is_some_and(|hold| hold.phase != Phase::Lost)
        };
        let all = scene.quotas.get(&key).into_iter().flat_map(|quotas| quotas.iter());
        let of_users = all.filter(|(entity, _)| matches!(entity.user_part(), Some(Part::Name(_))));
        let seen: BTreeSet<&Entity> =
            of_users.map(|(entity, _)| entity).filter(|entity| !ours(entity)).collect();
        let before = self.of_key.get(&key);
        if before.is_some_and(|before| before.quotas.iter().eq(seen.iter().copied())) {
            return;
        }
        let later = scene.now + scene.settle();
        let added = |before: &Named| seen.iter().any(|entity| !before.quotas.contains(*entity));
        let (settled, doubted) = match before {
            // Nobody knows what was set while no process looked.
            None => (Timestamp(i64::MIN), Some(later)),
            Some(before) => (later, if added(before) { Some(later) } else { before.doubted }),
        };
        let doubted = doubted.filter(|_| !seen.is_empty());
        let quotas = seen.into_iter().cloned().collect();
        self.of_key.insert(key, Named { quotas, settled, doubted });
    }

    /// From when on readings by client id count.
    pub(super) fn settled(&self, key: Key) -> Timestamp {
        self.of_key.get(&key).map_or(Timestamp(i64::MIN), |named| named.settled)
    }

    /// These rates are zeros that may be left of a client that is measured by its user now.
    pub(super) fn hide(&self, scene: &Scene<'_>, slot: &Slot, rates: &Rates) -> bool {
        if slot.entity.kind() != Kind::ClientId || rates.total() > 0.0 {
            return false;
        }
        let Some(doubted) = self.of_key.get(&slot.key).and_then(|named| named.doubted) else { return false };
        let alone = |reading: &crate::usage::Reading| reading.client.user.is_none();
        self.alive.get(slot).is_none_or(|alive| *alive < doubted)
            && scene.index(slot.key).is_ok_and(|index| index.readings_of(&slot.entity).any(alone))
    }
}
