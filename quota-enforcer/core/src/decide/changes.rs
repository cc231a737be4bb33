//! Which quotas were tightened lately, as the ledger tells: what was decided and not carried out is no change, and a process
//! that takes over knows of what its predecessor did.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::ledger::{Hold, Ledger, Phase};
use crate::quota::Slot;
use crate::time::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);

/// The tightened quotas of the last minute.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// When each was confirmed.
    made: VecDeque<Timestamp>,
    /// How many are under way: they may have come into effect.
    open: usize,
    /// When each hold was written last, and what then stood.
    seen: BTreeMap<Slot, (Option<Timestamp>, Option<f64>)>,
}

impl Changes {
    /// What the ledger says that it did not say before.
    pub(super) fn notice(&mut self, ledger: &Ledger, now: Timestamp) {
        self.seen.retain(|slot, _| ledger.holds.contains_key(slot));
        self.open = 0;
        for hold in ledger.throttles() {
            let open = hold.tightens() && hold.intent.is_some_and(|intent| now.since(intent.at) < MINUTE);
            self.open += usize::from(open);
            let before = self.seen.insert(hold.slot.clone(), (hold.written, hold.ours));
            self.made.extend(hold.written.filter(|_| tightened(hold, before)));
        }
        self.made.retain(|at| now.since(*at) < MINUTE && *at <= now);
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.made.len() + self.open
    }
}

/// The last write of this hold lowered a bound, and was not noticed yet.
fn tightened(hold: &Hold, before: Option<(Option<Timestamp>, Option<f64>)>) -> bool {
    match before {
        // The only phase that raises.
        None => hold.phase != Phase::Probing,
        Some((written, ours)) => {
            hold.written > written && hold.ours.is_some_and(|now| ours.is_none_or(|before| now < before))
        }
    }
}
