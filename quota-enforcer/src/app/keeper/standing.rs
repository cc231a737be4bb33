//! What this process may do.

use std::sync::Arc;
use std::time::Duration;

use crate::ports::LedgerStore;
use crate::status::Role;

/// See the module.
#[derive(Clone)]
pub enum Seat {
    /// It has not joined the others yet.
    Joining {
        /// What went wrong at the last try, if there was one.
        fault: Option<String>,
    },
    /// Another process leads, or is chosen just now.
    Standby,
    /// It leads.
    Office {
        /// The ledger.
        store: Arc<dyn LedgerStore>,
        /// Grows with each leader.
        epoch: u64,
        /// On the clock's monotonic scale: from here on an earlier leader sends nothing any more. What a
        /// broker still forwards for it is an open intent.
        act_from: Duration,
    },
    /// It may not lead, and why.
    Refused(String),
}

impl Seat {
    pub(super) fn role(&self, now: Duration) -> Role {
        match self {
            Self::Joining { .. } => Role::Starting,
            Self::Standby => Role::Standby,
            Self::Office { act_from, .. } if now < *act_from => Role::Taking,
            Self::Office { .. } => Role::Leader,
            Self::Refused(_) => Role::Refused,
        }
    }

    /// The ledger, if this process may act on it now.
    pub(super) fn office(&self, now: Duration) -> Option<Arc<dyn LedgerStore>> {
        match self {
            Self::Office { store, act_from, .. } if now >= *act_from => Some(Arc::clone(store)),
            _ => None,
        }
    }

    /// Why it may not.
    pub(super) fn blocker(&self, now: Duration) -> Option<String> {
        match self {
            Self::Joining { fault: None } => Some("this process has not joined the others yet".to_owned()),
            Self::Joining { fault: Some(fault) } => {
                Some(format!("this process has not joined the others: {fault}"))
            }
            Self::Standby => Some("this process does not lead".to_owned()),
            Self::Office { act_from, .. } if now < *act_from => {
                let left = act_from.saturating_sub(now).as_secs_f64().ceil();
                Some(format!("this process leads in {left} s, when what an earlier leader sent is over"))
            }
            Self::Office { .. } => None,
            Self::Refused(why) => Some(format!("this process may not enforce: {why}")),
        }
    }
}
