//! What the engine's task is asked for between two ticks.

use quota_enforcer_core::control::Order;
use quota_enforcer_core::ledger::Leader;
use tokio::sync::oneshot;

use crate::engine::{OrderError, Ordered};
use crate::views::plan::Plan;

/// One request. Who asked may be gone by the time of the answer; an order whose asker is gone before it begins is dropped.
#[derive(Debug)]
pub enum Asked {
    /// Do something.
    Order {
        /// What.
        order: Order,
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
        /// What came of it.
        answer: oneshot::Sender<Result<Ordered, Denied>>,
    },
    /// Say what the next tick would do.
    Plan {
        /// It.
        answer: oneshot::Sender<Plan>,
    },
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// Only a leader may.
    #[error("{why}")]
    NotLeader {
        /// In words.
        why: String,
        /// Who leads, as far as it is known.
        leader: Option<Leader>,
    },
    /// It failed.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The process ends.
    #[error("the process ends")]
    Ending,
}
