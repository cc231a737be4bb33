//! What is shown beside the status: values worked out of the last tick, for the API and the commands alike.

pub mod explain;
pub mod history;
pub mod plan;

use quota_enforcer_core::ledger::Ledger;
use quota_enforcer_core::policy::Policy;

use crate::engine::Tick;

/// What was seen and known in the last tick: what questions are answered from.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What was seen, decided and done.
    pub tick: Tick,
    /// The facts then.
    pub ledger: Ledger,
    /// The policy then, with whom it protects at run time.
    pub policy: Policy,
}
