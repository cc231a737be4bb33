//! What became of a write: the ledger's intent, held against what the brokers tell.
//!
//! The same comparison settles a write that was just made, and one that a process left behind.
//!
//! Kafka's quotas carry no author. A value that equals ours (as [`crate::quota::same`] has it) counts as ours, whoever
//! wrote it: it asks for the same, and it is taken away when the hold ends. Any other value is somebody else's.

use std::time::Duration;

use crate::audit::Event;
use crate::ledger::{Change, Fact, FactKey, Hold, Intent, Offence, Phase, Purpose};
use crate::quota::same;
use crate::time::Timestamp;

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// To be written to the ledger, together.
    pub changes: Vec<Change>,
    /// To be recorded; `None` when all is as the ledger says.
    pub event: Option<Event>,
    /// In words.
    pub why: String,
}

/// A write of this hold may still be applied, so that what stands now is not the last word: it was intended less than
/// `in_flight` ago, and is not done or was not answered. `in_flight` is the longest time from an intent to the moment after which its request
/// is not applied any more: at least the lease and a request's time.
#[must_use]
pub fn is_open(hold: &Hold, live: Option<f64>, now: Timestamp, in_flight: Duration) -> bool {
    hold.intent.is_some_and(|intent| {
        // A write of what stands already cannot be told from one that was not made; and one without an answer may be made again.
        let done = same(live, intent.to) && !same(intent.from, intent.to) && !intent.unanswered;
        !done && now.since(intent.at) < in_flight
    })
}

/// Compares a hold with the value that stands in its slot.
///
/// Ask only when the hold is not open ([`is_open`]), or when it is known that its request will not be applied: a write
/// that is given up here and applied later would leave a quota that nobody takes away.
#[must_use]
pub fn reconcile(hold: &Hold, live: Option<f64>, now: Timestamp) -> Recovery {
    let Some(intent) = hold.intent else { return standing(hold, live) };
    if same(live, intent.to) {
        if ends(hold, &intent) { released(hold, live, now) } else { done(hold, live, now) }
    } else if same(live, intent.from) || (hold.ours.is_some() && same(live, hold.ours)) {
        aborted(hold, live, &intent)
    } else {
        lost(hold, live)
    }
}

/// Without a write under way.
fn standing(hold: &Hold, live: Option<f64>) -> Recovery {
    if hold.phase == Phase::Lost {
        return unchanged("a human has the quota");
    }
    if hold.ours.is_none() {
        let why = format!("{}: nothing of ours ever stood", hold.slot);
        return Recovery { changes: vec![forget(hold)], event: Some(Event::Aborted), why };
    }
    if same(live, hold.ours) { unchanged("it stands") } else { lost(hold, live) }
}

fn unchanged(why: &str) -> Recovery {
    Recovery { changes: Vec::new(), event: None, why: why.to_owned() }
}

/// The write is one that ends the hold.
fn ends(hold: &Hold, intent: &Intent) -> bool {
    intent.to.is_none() || (hold.phase == Phase::Releasing && same(intent.to, hold.prior))
}

fn done(hold: &Hold, live: Option<f64>, now: Timestamp) -> Recovery {
    let next = Hold { ours: live, intent: None, written: Some(now), ..hold.clone() };
    let why = format!("the {} of {} stands at {}", what(hold), hold.slot, word(live));
    Recovery { changes: vec![put(next)], event: Some(Event::Done), why }
}

fn released(hold: &Hold, live: Option<f64>, now: Timestamp) -> Recovery {
    let mut changes = vec![forget(hold)];
    // What never stood slowed nobody, and a sentinel punishes nothing.
    if hold.purpose == Purpose::Throttle && hold.written.is_some() {
        let forget = now + hold.memory;
        let offence = Offence { slot: hold.slot.clone(), count: hold.offence, ended: now, forget };
        changes.push(Change::Put(Fact::Offence(offence)));
    }
    let why = format!("the {} of {} is gone: {} stands as before", what(hold), hold.slot, word(live));
    Recovery { changes, event: Some(Event::Released), why }
}

fn aborted(hold: &Hold, live: Option<f64>, intent: &Intent) -> Recovery {
    let change = if hold.ours.is_some() { put(Hold { intent: None, ..hold.clone() }) } else { forget(hold) };
    let (to, live) = (word(intent.to), word(live));
    let why = format!("the {} of {} did not become {to}: {live} stands as before", what(hold), hold.slot);
    Recovery { changes: vec![change], event: Some(Event::Aborted), why }
}

fn lost(hold: &Hold, live: Option<f64>) -> Recovery {
    let expected = match hold.intent {
        Some(intent) => format!("{} or {}", word(intent.from), word(intent.to)),
        None => word(hold.ours),
    };
    let why = format!("{} is {} instead of {expected}: a human took over", hold.slot, word(live));
    let next = Hold { ours: None, intent: None, phase: Phase::Lost, ..hold.clone() };
    Recovery { changes: vec![put(next)], event: Some(Event::HumanTookOver), why }
}

fn put(hold: Hold) -> Change {
    Change::Put(Fact::Hold(hold))
}

fn forget(hold: &Hold) -> Change {
    Change::Remove(FactKey::Hold(hold.slot.clone()))
}

fn what(hold: &Hold) -> &'static str {
    match hold.purpose {
        Purpose::Throttle => "throttle",
        Purpose::Sentinel => "sentinel",
    }
}

fn word(value: Option<f64>) -> String {
    value.map_or_else(|| "no quota".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests;
