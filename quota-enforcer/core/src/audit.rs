//! The record of what was done, as a chain: each record names the digest of the one before it.
//!
//! A record is one line of JSON. Its `prev` is the SHA-256 of the line before it, so that anyone can check a link with
//! `sha256sum`, and a record that was changed, taken out or put in breaks the chain at its place. The digest of the last
//! record is anchored in the ledger, which tells when the end was cut off.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::quota::Slot;
use crate::time::Timestamp;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A process became leader.
    Leader,
    /// A write was decided; it is sent after this record is safe.
    Intent,
    /// The write was read back from the brokers.
    Done,
    /// The write was not made, or did not take.
    Aborted,
    /// The metrics show that the bound holds.
    Verified,
    /// The metrics show that the bound does not bite.
    Ineffective,
    /// A hold goes on in another way.
    Phase,
    /// The quota of ours is gone and the prior value stands again.
    Released,
    /// A human changed a quota that we held.
    HumanTookOver,
    /// A client was exempted.
    Exempted,
    /// An exemption ended.
    ExemptionEnded,
    /// Enforcement was paused.
    Paused,
    /// Enforcement was resumed.
    Resumed,
}

impl Event {
    /// As in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Intent => "intent",
            Self::Done => "done",
            Self::Aborted => "aborted",
            Self::Verified => "verified",
            Self::Ineffective => "ineffective",
            Self::Phase => "phase",
            Self::Released => "released",
            Self::HumanTookOver => "human-took-over",
            Self::Exempted => "exempted",
            Self::ExemptionEnded => "exemption-ended",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
        }
    }
}

/// What is recorded of one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// By whom: `rule NAME`, or the person that asked.
    pub by: String,
    /// Whose quota of what.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// The quota before; absent where none stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// The quota after; absent where none stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
    /// In words.
    pub why: String,
    /// What it was decided on.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
    /// Digest of the policy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
}

/// A record of the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Grows by one; the first is 1.
    pub seq: u64,
    /// The digest of the line before, in hexadecimal; of the first: 64 zeros.
    pub prev: String,
    /// The cluster.
    pub cluster: String,
    /// The leader's epoch.
    pub epoch: u64,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Of the last record; 0 when there is none.
    pub seq: u64,
    /// The digest of its line.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn digest(line: &[u8]) -> String {
    let nibbles = Sha256::digest(line).into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| char::from_digit(u32::from(nibble), 16)).collect()
}

impl Head {
    /// Appends an entry: the line to write, without a line break, and the new end.
    ///
    /// # Errors
    /// Never for finite numbers; serialization is fallible by type.
    pub fn append(
        &self,
        cluster: &str,
        epoch: u64,
        entry: Entry,
    ) -> Result<(String, Self), serde_json::Error> {
        let seq = self.seq + 1;
        let record = Record { seq, prev: self.hash.clone(), cluster: cluster.to_owned(), epoch, entry };
        let line = serde_json::to_string(&record)?;
        let head = Self { seq, hash: digest(line.as_bytes()) };
        Ok((line, head))
    }
}

/// Where a chain breaks.
#[derive(Debug, thiserror::Error)]
pub enum BrokenChain {
    /// A line is no record.
    #[error("line {line} is no audit record")]
    NoRecord {
        /// Counted from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A number is missing or stands twice.
    #[error("record {found} follows record {last}: records are missing, repeated or out of order")]
    Sequence {
        /// Before.
        last: u64,
        /// Here.
        found: u64,
    },
    /// A line does not follow from the one before.
    #[error("record {seq} does not name the digest of record {}: one of them was changed", seq.saturating_sub(1))]
    Link {
        /// Of the later one.
        seq: u64,
    },
    /// The end is not the one that the ledger anchors.
    #[error(
        "the chain ends with record {found}, but the ledger anchors record {anchored}: the end was changed or cut off"
    )]
    End {
        /// In the chain.
        found: u64,
        /// In the ledger.
        anchored: u64,
    },
    /// There is no chain where the ledger anchors one.
    #[error(
        "there are no records, but the ledger anchors record {anchored}: the audit topic was emptied or created anew"
    )]
    Emptied {
        /// In the ledger.
        anchored: u64,
    },
}

/// What a proof found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The first record that is there, or the next to come. Above 1, earlier ones were trimmed by retention.
    pub first: u64,
    /// The end; the anchored one when retention took everything.
    pub head: Head,
    /// How many records were read.
    pub records: u64,
}

/// Reads a chain line by line.
#[derive(Debug, Default)]
pub struct Verifier {
    first: u64,
    head: Option<Head>,
    lines: usize,
}

impl Verifier {
    /// Takes the next line.
    ///
    /// # Errors
    /// When it does not follow from the ones before.
    pub fn take(&mut self, line: &[u8]) -> Result<Record, BrokenChain> {
        self.lines += 1;
        let record: Record = serde_json::from_slice(line)
            .map_err(|source| BrokenChain::NoRecord { line: self.lines, source })?;
        match &self.head {
            None => self.first = record.seq,
            Some(head) if record.seq != head.seq + 1 => {
                return Err(BrokenChain::Sequence { last: head.seq, found: record.seq });
            }
            Some(_) => {}
        }
        // The first record of all follows from nothing; what follows from a trimmed one cannot be checked.
        let before = self.head.clone().or_else(|| (record.seq == 1).then(Head::default));
        if before.is_some_and(|head| head.hash != record.prev) {
            return Err(BrokenChain::Link { seq: record.seq });
        }
        self.head = Some(Head { seq: record.seq, hash: digest(line) });
        Ok(record)
    }

    /// The end of the chain, compared with the one that the ledger anchors, if it is known. `trimmed`: the topic begins
    /// after its first offset, so that retention may have taken records.
    ///
    /// # Errors
    /// When they differ.
    pub fn finish(self, anchor: Option<&Head>, trimmed: bool) -> Result<Proof, BrokenChain> {
        let records = self.lines as u64;
        match (self.head, anchor) {
            (Some(head), Some(anchor)) if head != *anchor => {
                Err(BrokenChain::End { found: head.seq, anchored: anchor.seq })
            }
            (Some(head), _) => Ok(Proof { first: self.first, head, records }),
            (None, Some(anchor)) if anchor.seq > 0 && !trimmed => {
                Err(BrokenChain::Emptied { anchored: anchor.seq })
            }
            (None, anchor) => {
                let head = anchor.cloned().unwrap_or_default();
                Ok(Proof { first: head.seq + 1, head, records })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(why: &str) -> Entry {
        Entry {
            at: Timestamp(1),
            event: Event::Done,
            by: "rule a".to_owned(),
            slot: None,
            before: None,
            after: Some(5e4),
            why: why.to_owned(),
            evidence: serde_json::json!({ "rate": 1.5 }),
            policy: String::new(),
        }
    }

    fn chain(whys: &[String]) -> (Vec<String>, Head) {
        let mut head = Head::default();
        let mut lines = Vec::new();
        for why in whys {
            let (line, next) = head.append("c", 1, entry(why)).unwrap();
            lines.push(line);
            head = next;
        }
        (lines, head)
    }

    fn verify(lines: &[String], anchor: &Head) -> Result<Proof, BrokenChain> {
        let mut verifier = Verifier::default();
        for line in lines {
            verifier.take(line.as_bytes())?;
        }
        verifier.finish(Some(anchor), false)
    }

    proptest! {
        #[test]
        fn a_chain_proves_itself_and_its_later_part(whys in proptest::collection::vec(any::<String>(), 1..8), trim in 0usize..7) {
            let (lines, head) = chain(&whys);
            let proof = verify(&lines, &head).unwrap();
            prop_assert_eq!((proof.first, proof.records), (1, lines.len() as u64));
            let kept = &lines[trim.min(lines.len() - 1)..];
            prop_assert_eq!(verify(kept, &head).unwrap().records, kept.len() as u64);
        }

        #[test]
        fn any_change_breaks_it(whys in proptest::collection::vec("[a-z]{1,5}", 2..8), at in any::<prop::sample::Index>(), how in 0..4) {
            let (mut lines, head) = chain(&whys);
            let at = at.index(lines.len());
            match how {
                0 => lines[at] = lines[at].replace("\"rate\":1.5", "\"rate\":1.6"),
                1 => drop(lines.pop()),
                // Taking the first one away is what retention does.
                2 if at > 0 => drop(lines.remove(at)),
                _ => lines.insert(at, lines[at].clone()),
            }
            prop_assert!(verify(&lines, &head).is_err());
        }
    }

    #[test]
    fn an_empty_chain_is_whole_only_where_nothing_was_written_or_retention_took_it() {
        let (_, anchor) = chain(&["a".to_owned(), "b".to_owned()]);
        let empty = |anchor, trimmed| Verifier::default().finish(anchor, trimmed);
        assert!(matches!(empty(Some(&anchor), false), Err(BrokenChain::Emptied { anchored: 2 })));
        let gone = Proof { first: 3, head: anchor.clone(), records: 0 };
        assert_eq!(empty(Some(&anchor), true).unwrap(), gone);
        let nothing = Proof { first: 1, head: Head::default(), records: 0 };
        assert_eq!(empty(None, false).unwrap(), nothing);
        assert_eq!(empty(Some(&Head::default()), false).unwrap(), nothing);
    }

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
