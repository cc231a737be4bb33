//! What was done, from the audit chain.

use std::collections::VecDeque;

use async_trait::async_trait;
use quota_enforcer_core::audit::Record;
use quota_enforcer_core::entity::Entity;
use serde::{Deserialize, Serialize};

/// Which records are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of whom; of a user or a client id also those of its pairs. `None`: all records.
    pub entity: Option<Entity>,
    /// So many of the newest.
    pub limit: usize,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Oldest first.
    pub records: Vec<Record>,
    /// How many older ones are wanted and left out.
    pub left_out: u64,
}

/// Where records are read.
#[async_trait]
pub trait Records: Send + Sync {
    /// The newest records that are wanted.
    ///
    /// # Errors
    /// In words, when the audit topic cannot be read.
    async fn history(&self, wanted: &Wanted) -> Result<History, String>;
}

/// Picks records while all of them go by.
#[derive(Debug)]
pub struct Picker<'a> {
    wanted: &'a Wanted,
    kept: VecDeque<Record>,
    left_out: u64,
}

impl<'a> Picker<'a> {
    /// Nothing has gone by.
    #[must_use]
    pub fn new(wanted: &'a Wanted) -> Self {
        Self { wanted, kept: VecDeque::new(), left_out: 0 }
    }

    /// Takes the next record.
    pub fn take(&mut self, record: Record) {
        if !self.wanted.entity.as_ref().is_none_or(|entity| is_about(&record, entity)) {
            return;
        }
        self.kept.push_back(record);
        while self.kept.len() > self.wanted.limit {
            self.kept.pop_front();
            self.left_out += 1;
        }
    }

    /// All have gone by.
    #[must_use]
    pub fn finish(self) -> History {
        History { records: self.kept.into(), left_out: self.left_out }
    }
}

/// The record is about the entity, or about a part of it.
fn is_about(record: &Record, entity: &Entity) -> bool {
    // Exemptions are of an entity, not of a quota.
    let exempted = || record.entry.evidence.get("entity").and_then(|value| value.as_str()?.parse().ok());
    let of = record.entry.slot.as_ref().map(|slot| slot.entity.clone()).or_else(exempted);
    of.is_some_and(|of| match entity {
        Entity::User(part) => of.user_part() == Some(part),
        Entity::ClientId(part) => of.client_id_part() == Some(part),
        Entity::Pair(..) => of == *entity,
    })
}

#[cfg(test)]
mod tests {
    use quota_enforcer_core::audit::{Entry, Event};
    use quota_enforcer_core::quota::{Key, Slot};
    use quota_enforcer_core::time::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn record(seq: u64, slot: Option<&str>, evidence: Value) -> Record {
        let slot = slot.map(|entity| Slot { entity: entity.parse().unwrap(), key: Key::ProducerByteRate });
        let entry = Entry {
            at: Timestamp(0),
            event: Event::Done,
            by: String::new(),
            slot,
            before: None,
            after: None,
            why: String::new(),
            evidence,
            policy: String::new(),
        };
        Record { seq, prev: String::new(), cluster: String::new(), epoch: 1, entry }
    }

    fn picked(entity: Option<&str>, limit: usize) -> (Vec<u64>, u64) {
        let wanted = Wanted { entity: entity.map(|entity| entity.parse().unwrap()), limit };
        let mut picker = Picker::new(&wanted);
        picker.take(record(1, None, Value::Null));
        picker.take(record(2, Some("user=a"), Value::Null));
        picker.take(record(3, Some("user=a,client-id=x"), Value::Null));
        picker.take(record(4, Some("client-id=x"), Value::Null));
        picker.take(record(5, None, json!({ "entity": "user=a" })));
        let history = picker.finish();
        (history.records.iter().map(|record| record.seq).collect(), history.left_out)
    }

    #[test]
    fn records_of_an_entity_include_those_of_its_pairs_and_exemptions() {
        assert_eq!(picked(None, 9), (vec![1, 2, 3, 4, 5], 0));
        assert_eq!(picked(Some("user=a"), 9), (vec![2, 3, 5], 0));
        assert_eq!(picked(Some("client-id=x"), 9), (vec![3, 4], 0));
        assert_eq!(picked(Some("user=a,client-id=x"), 9), (vec![3], 0));
    }

    #[test]
    fn the_newest_stay() {
        assert_eq!(picked(Some("user=a"), 2), (vec![3, 5], 1));
    }
}
