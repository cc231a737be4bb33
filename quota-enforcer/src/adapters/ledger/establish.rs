//! From being assigned to leading. All of it blocks.

use std::time::Duration;

use quota_enforcer_core::audit::{Entry, Event};
use quota_enforcer_core::ledger::{Change, Fact, Leader};
use serde_json::Value;

use super::audit::{check_anchor, tail};
use super::batch::Batch;
use super::read::{Facts, Reader};
use super::store::{Known, leader};
use super::writer::{Broken, Writer};
use super::{Fault, Place};

/// What a new leader has.
pub(super) struct Established {
    pub(super) writer: Writer,
    pub(super) known: Known,
    pub(super) leader: Leader,
    /// On the clock's monotonic scale: nobody else acts from here on.
    pub(super) act_from: Duration,
}

/// What is known of a ledger apart from what it says itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remembered {
    /// Where it ended when it was claimed last.
    pub(super) end: Option<i64>,
    /// The last epoch that this process led in.
    pub(super) epoch: u64,
}

/// Fences, reads, checks, and writes who leads now.
pub(super) fn establish(place: &Place, cluster: &str, remembered: Remembered) -> Result<Established, Fault> {
    let settings = &place.settings;
    let mut writer = Writer::fence(place)?;
    let fenced_at = place.clock.monotonic();
    let reader = Reader::open(place, &settings.ledger.topic)?;
    reader.seek(reader.low)?;
    let mut facts = Facts::new(&settings.ledger.topic);
    facts.read(&reader)?;
    check_extent(&settings.ledger.topic, &reader, &facts, remembered)?;
    let tail = tail(place)?;
    check_anchor(settings, facts.ledger.head.as_ref(), &tail)?;
    let before = facts.ledger.leader.clone();
    if let Some(before) = &before
        && before.cluster != cluster
    {
        return Err(Fault::Lost(format!(
            "topic {} is the ledger of cluster {}, and this is cluster {cluster}",
            settings.ledger.topic, before.cluster
        )));
    }

    writer.read_up_to(&settings.ledger.topic, facts.last);
    if let Some((offset, _)) = tail.last {
        writer.read_up_to(&settings.ledger.audit_topic, offset);
    }
    let started = place.clock.monotonic();
    let leader = leader(place, cluster, before.as_ref().map_or(0, |leader| leader.epoch) + 1);
    let ledger = facts.ledger.clone();
    let batch = Batch::new(
        &settings.ledger,
        &ledger,
        &leader,
        &[Change::Put(Fact::Leader(leader.clone()))],
        &[elected(&leader)],
    )
    .map_err(|error| Fault::Lost(error.to_string()))?;
    writer.transact(&batch.records).map_err(|broken| match broken {
        Broken::Moved(text) => Fault::Lost(text),
        other => Fault::Late(format!("who leads could not be written: {other}")),
    })?;
    let known = Known { ledger: batch.ledger, renewed: started };
    see_own_record(&mut facts, &reader, &leader)?;
    if facts.ledger.leader != known.ledger.leader {
        return Err(Fault::Late("another process has become leader at the same time".to_owned()));
    }
    facts.read(&reader)?;
    if facts.ledger != known.ledger {
        return Err(Fault::Late("the ledger was written while it was read".to_owned()));
    }
    Ok(Established {
        writer,
        known,
        leader,
        act_from: act_from(before.as_ref(), fenced_at, settings.request_timeout),
    })
}

/// An old leader may act until its lease ends, and what it sent then may take effect a little later. A leader without
/// lease has said that it is done.
fn act_from(before: Option<&Leader>, fenced_at: Duration, request_timeout: Duration) -> Duration {
    match before.map(|leader| leader.lease_ms) {
        None | Some(0) => fenced_at,
        Some(lease) => fenced_at + Duration::from_millis(lease) + request_timeout,
    }
}

/// Reads on until the record that was just written: what lay before it has been read then, whatever a broker that just
/// became leader said about the end.
fn see_own_record(facts: &mut Facts, reader: &Reader, own: &Leader) -> Result<(), Fault> {
    loop {
        let Some(record) = reader.next()? else { continue };
        if facts.take(&record)? == Change::Put(Fact::Leader(own.clone())) {
            return Ok(());
        }
    }
}

fn elected(leader: &Leader) -> Entry {
    Entry {
        at: leader.since,
        event: Event::Leader,
        by: leader.instance.clone(),
        slot: None,
        before: None,
        after: None,
        why: format!("{} leads", leader.instance),
        evidence: Value::Null,
        policy: String::new(),
    }
}

/// A compacted topic keeps its beginning, and its end does not move back.
fn check_extent(ledger: &str, reader: &Reader, facts: &Facts, remembered: Remembered) -> Result<(), Fault> {
    if reader.low > 0 {
        return Err(Fault::Lost(format!(
            "topic {ledger} begins with record {}: what lay before it was deleted, which a compacted topic never does by itself",
            reader.low
        )));
    }
    let end = reader.end.max(facts.last + 1);
    let epoch = facts.ledger.leader.as_ref().map_or(0, |leader| leader.epoch);
    if epoch < remembered.epoch {
        return Err(Fault::Lost(format!(
            "topic {ledger} knows leaders up to epoch {epoch}, and this process led it in epoch {}: it was emptied or created anew",
            remembered.epoch
        )));
    }
    match remembered.end {
        Some(claimed) if end < claimed => Err(Fault::Lost(format!(
            "topic {ledger} ends at record {end}, and it had {claimed} when it was led last: it was emptied or created anew"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use quota_enforcer_core::time::Timestamp;

    use super::*;

    const FENCED: Duration = Duration::from_secs(100);
    const REQUEST: Duration = Duration::from_secs(5);

    fn leader(lease_ms: u64) -> Leader {
        Leader {
            cluster: "c".to_owned(),
            epoch: 1,
            instance: "a".to_owned(),
            since: Timestamp(0),
            lease_ms,
            api: None,
        }
    }

    #[test]
    fn the_old_lease_and_its_last_request_are_waited_for() {
        assert_eq!(act_from(Some(&leader(20_000)), FENCED, REQUEST), Duration::from_secs(125));
    }

    #[test]
    fn nobody_or_someone_who_is_done_is_not_waited_for() {
        assert_eq!(act_from(None, FENCED, REQUEST), FENCED);
        assert_eq!(act_from(Some(&leader(0)), FENCED, REQUEST), FENCED);
    }
}
