//! What one transaction writes.

use quota_enforcer_core::audit::Entry;
use quota_enforcer_core::ledger::{Change, Fact, Leader, Ledger, LedgerError};

use super::writer::Outgoing;
use crate::spec;

/// Records of one transaction, and the facts after it.
pub(super) struct Batch {
    pub(super) records: Vec<Outgoing>,
    pub(super) ledger: Ledger,
}

/// What cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritable {
    /// It is no JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Nobody could read it.
    #[error("it could not be read back: {0}")]
    Unreadable(#[from] LedgerError),
    /// It would be read as something else.
    #[error("the fact {0} would not be read as it was written")]
    Changed(String),
}

impl Batch {
    /// Seals the entries into the chain. With nothing to write it is the leader's fact again.
    pub(super) fn new(
        topics: &spec::Ledger,
        before: &Ledger,
        leader: &Leader,
        changes: &[Change],
        entries: &[Entry],
    ) -> Result<Self, Unwritable> {
        let mut changes = changes.to_vec();
        let mut records = Vec::new();
        if !entries.is_empty() {
            let mut head = before.head.clone().unwrap_or_default();
            for entry in entries {
                let (line, next) = head.append(&leader.cluster, leader.epoch, entry.clone())?;
                records.push(Outgoing { topic: topics.audit_topic.clone(), key: None, value: Some(line) });
                head = next;
            }
            changes.push(Change::Put(Fact::Head(head)));
        }
        if changes.is_empty() {
            changes.push(Change::Put(Fact::Leader(leader.clone())));
        }
        let mut ledger = before.clone();
        for change in changes {
            let (key, value) = change.encode()?;
            // What nobody could read would be the end of the ledger.
            match Change::decode(&key, value.as_deref()) {
                Ok(read) if read == change => {}
                Ok(_) => return Err(Unwritable::Changed(key)),
                Err(error) => return Err(Unwritable::Unreadable(error)),
            }
            records.push(Outgoing { topic: topics.topic.clone(), key: Some(key), value });
            ledger.apply(change);
        }
        Ok(Self { records, ledger })
    }
}

#[cfg(test)]
mod tests {
    use quota_enforcer_core::entity::Entity;
    use quota_enforcer_core::quota::{Key, Slot};
    use quota_enforcer_core::time::Timestamp;

    use super::*;
    use crate::adapters::ledger::Settings;

    #[test]
    fn what_nobody_could_read_is_not_written() {
        let leader = Leader {
            cluster: "c".to_owned(),
            epoch: 1,
            instance: "i".to_owned(),
            since: Timestamp(0),
            lease_ms: 1,
            api: None,
        };
        let slot = Slot { entity: Entity::user("wild"), key: Key::ProducerByteRate };
        let batch = |target: f64| {
            let hold = serde_json::json!({
                "slot": slot, "purpose": "throttle", "rule": "r", "prior": null, "ours": 1.5, "intent": null,
                "phase": "holding", "caught_at_rate": 0.1, "target": 1.0, "since": 0, "earliest": 0, "until": 0,
                "expires": 0, "offence": 1, "policy": ""
            });
            let mut hold: quota_enforcer_core::ledger::Hold = serde_json::from_value(hold).unwrap();
            hold.target = target;
            let changes = [Change::Put(Fact::Hold(hold))];
            Batch::new(&Settings::sample().ledger, &Ledger::default(), &leader, &changes, &[])
        };
        assert_eq!(batch(6.6e7 / 7.0).unwrap().records.len(), 1);
        assert!(matches!(batch(f64::INFINITY), Err(Unwritable::Unreadable(_))));
    }
}
