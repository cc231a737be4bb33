//! As whom this process comes to the brokers, and the policy that follows from it.

use quota_enforcer_core::policy::{Pattern, Policy};

/// The enforcer's own names. No rule touches them, whatever the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// As whom it authenticates; `None` where brokers know it by a certificate, or not at all.
    pub user: Option<String>,
    /// What it calls itself.
    pub client_id: String,
}

impl Own {
    /// The policy in force: the file's, with this process protected.
    #[must_use]
    pub fn protect(&self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        policy.protected.users.extend(self.user.iter().cloned().map(Pattern));
        policy.protected.client_ids.push(Pattern(self.client_id.clone()));
        policy
    }
}
