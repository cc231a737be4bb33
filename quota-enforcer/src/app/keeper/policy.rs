//! The policy in force: the file's, with what only a running process knows.

use quota_enforcer_core::policy::{Pattern, Policy};

use crate::ports::Cluster;
use crate::spec::Settings;

/// Whom no rule may touch, whatever the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    /// As whom this process authenticates.
    pub(super) user: Option<String>,
    /// What it calls itself.
    pub(super) client_id: String,
    /// The brokers' own principals and their likes; `None` until the brokers have told them.
    pub(super) super_users: Option<Vec<String>>,
}

impl Own {
    pub(super) fn protect(&self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        let users = self.user.iter().chain(self.super_users.iter().flatten());
        policy.protected.users.extend(users.cloned().map(Pattern));
        policy.protected.client_ids.push(Pattern(self.client_id.clone()));
        policy
    }

    /// Takes over what a whole description of the cluster says; whether that is new.
    pub(super) fn learn(&mut self, cluster: &Cluster) -> bool {
        if cluster.id.is_empty() || !cluster.doubts.is_empty() {
            return false;
        }
        let told = Some(cluster.super_users.clone());
        let new = self.super_users != told;
        self.super_users = told;
        new
    }

    pub(super) fn blocker(&self) -> Option<String> {
        self.super_users.is_none().then(|| "the brokers have not told their super users yet".to_owned())
    }
}

/// What a changed file asks for and only a restart can do.
pub(super) fn needs_restart(started: &Settings, now: &Settings) -> Vec<String> {
    let changed = [
        ("kafka", started.kafka != now.kafka),
        ("ledger", started.ledger != now.ledger),
        ("prometheus", started.prometheus != now.prometheus),
        ("metrics", started.profile != now.profile),
        ("baseline", started.baseline != now.baseline),
        ("admin", started.admin != now.admin),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(section, _)| format!("`{section}` has changed in the file: restart to use it")).collect()
}
