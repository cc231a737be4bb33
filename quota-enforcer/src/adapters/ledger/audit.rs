//! Reading the audit topic.

use quota_enforcer_core::audit::{Head, Record, digest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::read::Reader;
use super::{Fault, Place, Settings, blocking};

/// Lines that wait to be taken.
const AHEAD: usize = 256;

/// The lines of the audit chain, oldest first. Holds a few hundred at a time, however many there are.
pub struct AuditLines {
    lines: mpsc::Receiver<Result<Vec<u8>, Fault>>,
    low: i64,
    _reading: JoinHandle<()>,
}

impl AuditLines {
    /// Reads from the first record that retention has left, to the last one committed now. Joins no group.
    ///
    /// # Errors
    /// When the topic is not there, or the cluster does not answer.
    pub async fn open(place: &Place) -> Result<Self, Fault> {
        let place = place.clone();
        let reader = blocking(move || Reader::open(&place, &place.settings.ledger.audit_topic)).await?;
        let low = reader.low;
        let (sender, lines) = mpsc::channel(AHEAD);
        let reading = tokio::task::spawn_blocking(move || {
            if let Err(fault) = pour(&reader, &sender) {
                // Nobody may be left to hear it.
                drop(sender.blocking_send(Err(fault)));
            }
        });
        Ok(Self { lines, low, _reading: reading })
    }

    /// The offset that the topic begins with: above 0 when records before it are gone.
    #[must_use]
    pub fn low(&self) -> i64 {
        self.low
    }

    /// The next line without its line break; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, Fault>> {
        self.lines.recv().await
    }
}

fn pour(reader: &Reader, sender: &mpsc::Sender<Result<Vec<u8>, Fault>>) -> Result<(), Fault> {
    reader.seek(reader.low)?;
    while let Some(record) = reader.next()? {
        if sender.blocking_send(Ok(record.value.unwrap_or_default())).is_err() {
            break;
        }
    }
    Ok(())
}

/// The end of the audit topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Of the first record that is there.
    pub(super) low: i64,
    /// Of the last record, with the chain's end that it makes; `None` when there is no record.
    pub(super) last: Option<(i64, Head)>,
}

/// Looks for the last record from the back: the end of each transaction takes up an offset too.
pub(super) fn tail(place: &Place) -> Result<Tail, Fault> {
    let topic = &place.settings.ledger.audit_topic;
    let reader = Reader::open(place, topic)?;
    let mut span = 8;
    loop {
        let start = reader.low.max(reader.end.saturating_sub(span));
        reader.seek(start)?;
        let mut last = None;
        while let Some(record) = reader.next()? {
            last = Some(record);
        }
        if let Some(record) = last {
            let line = record.value.unwrap_or_default();
            let parsed: Record = serde_json::from_slice(&line).map_err(|source| {
                Fault::Lost(format!("record {} of topic {topic} is no audit record: {source}", record.offset))
            })?;
            let head = Head { seq: parsed.seq, hash: digest(&line) };
            return Ok(Tail { low: reader.low, last: Some((record.offset, head)) });
        }
        if start == reader.low {
            return Ok(Tail { low: reader.low, last: None });
        }
        span = span.saturating_mul(8);
    }
}

/// The chain's end in the ledger is that of the audit topic: both were written in one transaction.
pub(super) fn check_anchor(settings: &Settings, anchor: Option<&Head>, tail: &Tail) -> Result<(), Fault> {
    let (ledger, audit) = (&settings.ledger.topic, &settings.ledger.audit_topic);
    let anchored = anchor.filter(|head| head.seq > 0);
    let lost = |text: String| Err(Fault::Lost(text));
    match (anchored, &tail.last) {
        (None, None) => Ok(()),
        (Some(anchor), Some((_, end))) if anchor == end => Ok(()),
        // When retention took everything, the anchor alone remains.
        (Some(_), None) if tail.low > 0 => Ok(()),
        (Some(anchor), None) => lost(format!(
            "topic {audit} is empty, and ledger {ledger} anchors record {}: the audit topic was emptied or created anew",
            anchor.seq
        )),
        (None, Some((_, end))) => lost(format!(
            "ledger {ledger} knows no audit record, and topic {audit} ends with record {}: the ledger was emptied or created anew, \
             or this is the audit topic of another ledger",
            end.seq
        )),
        (Some(anchor), Some((_, end))) if end.seq > anchor.seq => lost(format!(
            "ledger {ledger} anchors audit record {}, and topic {audit} ends with record {}: the ledger lost its last records",
            anchor.seq, end.seq
        )),
        (Some(anchor), Some((_, end))) if end.seq < anchor.seq => lost(format!(
            "ledger {ledger} anchors audit record {}, and topic {audit} ends with record {}: the end of the audit topic was cut off",
            anchor.seq, end.seq
        )),
        (Some(anchor), Some(_)) => lost(format!(
            "audit record {} is not the one that ledger {ledger} anchors: it was changed",
            anchor.seq
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(seq: u64) -> Head {
        Head { seq, hash: format!("digest of {seq}") }
    }

    fn lost(anchor: Option<Head>, low: i64, end: Option<Head>) -> Option<String> {
        let tail = Tail { low, last: end.map(|end| (40, end)) };
        match check_anchor(&Settings::sample(), anchor.as_ref(), &tail) {
            Ok(()) => None,
            Err(Fault::Lost(text)) => Some(text),
            Err(fault) => panic!("{fault}"),
        }
    }

    #[test]
    fn the_chain_ends_where_the_ledger_says() {
        assert_eq!(lost(None, 0, None), None);
        assert_eq!(lost(Some(head(0)), 0, None), None);
        assert_eq!(lost(Some(head(7)), 0, Some(head(7))), None);
        assert_eq!(lost(Some(head(7)), 41, None), None, "retention took everything");
        let forged = Head { hash: "another".to_owned(), ..head(7) };
        for (anchor, end, said) in [
            (Some(head(7)), None, "the audit topic was emptied or created anew"),
            (None, Some(head(7)), "the ledger was emptied or created anew"),
            (Some(head(7)), Some(head(8)), "the ledger lost its last records"),
            (Some(head(7)), Some(head(6)), "the end of the audit topic was cut off"),
            (Some(head(7)), Some(forged), "it was changed"),
        ] {
            let text = lost(anchor, 0, end).expect(said);
            assert!(text.contains(said), "{said}: {text}");
        }
    }
}
