//! Reading the audit topic.

use quota_enforcer_core::audit::{Head, Record, digest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::read::Reader;
use super::{Fault, Place};

/// Lines that wait to be taken.
const AHEAD: usize = 256;

/// The lines of the audit chain, oldest first. Holds a few hundred at a time, however many there are.
pub struct AuditLines {
    lines: mpsc::Receiver<Result<Vec<u8>, Fault>>,
    _reading: JoinHandle<()>,
}

impl AuditLines {
    /// Reads from the first record that retention has left, to the last one committed now. Joins no group.
    #[must_use]
    pub fn open(place: &Place) -> Self {
        let (sender, lines) = mpsc::channel(AHEAD);
        let place = place.clone();
        let reading = tokio::task::spawn_blocking(move || {
            if let Err(fault) = pour(&place, &sender) {
                // Nobody may be left to hear it.
                drop(sender.blocking_send(Err(fault)));
            }
        });
        Self { lines, _reading: reading }
    }

    /// The next line without its line break; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, Fault>> {
        self.lines.recv().await
    }
}

fn pour(place: &Place, sender: &mpsc::Sender<Result<Vec<u8>, Fault>>) -> Result<(), Fault> {
    let reader = Reader::open(place, &place.settings.audit)?;
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
    let topic = &place.settings.audit;
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
