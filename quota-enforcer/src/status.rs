//! What the daemon knows and does, for the API, the commands and the metrics: one value, replaced every tick.

use std::collections::BTreeMap;

use quota_enforcer_core::decide::{Cap, Verdict};
use quota_enforcer_core::ledger::{Exemption, Hold, Leader, Ledger, Offence, Pause};
use quota_enforcer_core::policy::{Mode, Policy, Rule};
use quota_enforcer_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::Tick;

/// Who acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Not known yet.
    #[default]
    Starting,
    /// This process, as soon as older leases ran out.
    Taking,
    /// This process.
    Leader,
    /// Another process.
    Standby,
    /// Nobody: this process may not.
    Refused,
}

/// A rule of the policy in force, for whoever meets its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// Its name.
    pub rule: String,
    /// How far it goes.
    pub mode: Mode,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What to read when it acts.
    pub runbook_url: Option<String>,
}

impl RuleInfo {
    /// Of one rule.
    #[must_use]
    pub fn of(rule: &Rule) -> Self {
        Self {
            rule: rule.name.clone(),
            mode: rule.mode,
            owner: rule.owner.clone(),
            runbook_url: rule.runbook_url.clone(),
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// When it was true.
    pub at: Timestamp,
    /// The cluster's id.
    pub cluster: String,
    /// Live brokers.
    pub brokers: usize,
    /// Who acts.
    pub role: Role,
    /// The leader's epoch, where this process leads.
    pub epoch: Option<u64>,
    /// Who leads by the ledger, this process or another.
    pub leader: Option<Leader>,
    /// How long the lease lasts, in milliseconds.
    pub lease_left_ms: u64,
    /// Digest of the policy.
    pub policy: String,
    /// Its rules.
    pub rules: Vec<RuleInfo>,
    /// Why nothing is tightened.
    pub blockers: Vec<String>,
    /// What could not be read or done in the last tick.
    pub faults: Vec<String>,
    /// What an operator should know, though nothing is wrong with the tick.
    pub notes: Vec<String>,
    /// Caps that kept something from being done in the last tick.
    pub capped: Vec<Cap>,
    /// How many clients each rule saw.
    pub seen: BTreeMap<String, usize>,
    /// Clients that are not calm, and rules that cannot measure all of theirs.
    pub verdicts: Vec<Verdict>,
    /// Quotas of ours.
    pub holds: Vec<Hold>,
    /// Offences remembered.
    pub offences: Vec<Offence>,
    /// Clients exempted.
    pub exemptions: Vec<Exemption>,
    /// Everything paused.
    pub pause: Option<Pause>,
}

impl Status {
    /// After a tick.
    #[must_use]
    pub fn after(tick: &Tick, ledger: &Ledger, policy: &Policy) -> Self {
        Self {
            at: tick.at,
            cluster: tick.cluster.id.clone(),
            brokers: tick.cluster.brokers.len(),
            leader: ledger.leader.clone(),
            policy: policy.version.clone(),
            rules: policy.rules.iter().map(RuleInfo::of).collect(),
            blockers: tick.observation.blockers.clone(),
            faults: tick.faults.clone(),
            capped: tick.outcome.capped.clone(),
            seen: tick.outcome.seen.clone(),
            verdicts: tick.outcome.verdicts.clone(),
            holds: ledger.holds.values().cloned().collect(),
            offences: ledger.offences.values().cloned().collect(),
            exemptions: ledger.exemptions.values().cloned().collect(),
            pause: ledger.pause.clone(),
            ..Self::default()
        }
    }
}
