//! What would be done now, as a difference of quotas.

use quota_enforcer_core::decide::{Act, Cap, Verdict};
use quota_enforcer_core::quota::Slot;
use quota_enforcer_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::Tick;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// When it was worked out.
    pub at: Timestamp,
    /// The cluster's id.
    pub cluster: String,
    /// Digest of the policy.
    pub policy: String,
    /// Whether clients were confirmed over several samples; a single look takes each that is over its threshold as confirmed.
    pub confirmed: bool,
    /// What would be written, releases first.
    pub changes: Vec<Change>,
    /// What is thought of each client that is not calm.
    pub verdicts: Vec<Verdict>,
    /// Caps that keep something from being done.
    pub capped: Vec<Cap>,
    /// Why nothing may be tightened.
    pub blockers: Vec<String>,
    /// What could not be read.
    pub faults: Vec<String>,
}

/// One quota that would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Whose quota of what.
    #[serde(flatten)]
    pub slot: Slot,
    /// What stands there; absent where nothing does.
    pub from: Option<f64>,
    /// What would stand there; absent where nothing would.
    pub to: Option<f64>,
    /// By which rule.
    pub rule: String,
    /// In words.
    pub why: String,
    /// What it is decided on.
    #[serde(default)]
    pub evidence: Value,
}

impl Plan {
    /// What a tick decided, whether or not it was carried out.
    #[must_use]
    pub fn of(tick: &Tick, policy: &str, confirmed: bool) -> Self {
        Self {
            at: tick.at,
            cluster: tick.cluster.id.clone(),
            policy: policy.to_owned(),
            confirmed,
            changes: tick.outcome.acts.iter().filter_map(change).collect(),
            verdicts: tick.outcome.verdicts.clone(),
            capped: tick.outcome.capped.clone(),
            blockers: tick.observation.blockers.clone(),
            faults: tick.faults.clone(),
        }
    }
}

/// Acts that only change the ledger change no quota.
fn change(act: &Act) -> Option<Change> {
    let intent = act.hold.intent.filter(|_| !act.forget)?;
    Some(Change {
        slot: act.hold.slot.clone(),
        from: intent.from,
        to: intent.to,
        rule: act.hold.rule.clone(),
        why: act.why.clone(),
        evidence: act.evidence.clone(),
    })
}
