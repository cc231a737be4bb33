//! What the engine needs from the world, as traits. Adapters implement them; the engine knows no adapter.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use quota_enforcer_core::audit::{Entry, Head};
use quota_enforcer_core::entity::Entity;
use quota_enforcer_core::ledger::{Change, Ledger};
use quota_enforcer_core::policy::Policy;
use quota_enforcer_core::quota::{Key, Slot, Snapshot};
pub use quota_enforcer_core::usage::BrokerId;
use quota_enforcer_core::usage::{Answer, Usage};

/// The quotas of a cluster.
#[async_trait]
pub trait Quotas: Send + Sync {
    /// The cluster as one broker tells it.
    async fn cluster(&self) -> Result<Cluster, QuotaFault>;
    /// All client quotas, as any broker tells them.
    async fn snapshot(&self) -> Result<Snapshot, QuotaFault>;
    /// What this broker tells of these slots: what it enforces by.
    async fn told_by(&self, broker: BrokerId, slots: &[Slot]) -> Result<Snapshot, QuotaFault>;
    /// Sets (or with `None` removes) quotas; with `validate_only` only asks whether it could. One result per slot, in
    /// order. Never repeated by itself once it may have been sent.
    async fn alter(
        &self,
        writes: &[(Slot, Option<f64>)],
        validate_only: bool,
    ) -> Result<Vec<Result<(), String>>, QuotaFault>;
}

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// Its id.
    pub id: String,
    /// Live brokers.
    pub brokers: BTreeMap<BrokerId, BrokerInfo>,
    /// The custom quota callback that a broker runs, if any does: Kafka's own quotas then limit nothing.
    pub custom_callback: Option<String>,
    /// Brokers that did not tell their configuration, for people. What they look like is a guess: nothing may be tightened on it.
    pub doubts: Vec<String>,
}

/// What a broker's own configuration says about quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerInfo {
    /// `quota.window.num`.
    pub windows: u32,
    /// `quota.window.size.seconds`.
    pub window: Duration,
}

/// Why the quota API gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum QuotaFault {
    /// It was not done.
    #[error("{0}")]
    Failed(String),
    /// It was sent and no answer came: it may be done, or be done later.
    #[error("{0}: the outcome is unknown")]
    Unknown(String),
}

/// What the metrics say.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// Everything that the rules of a policy need, read within `limit`.
    async fn observe(&self, policy: &Policy, limit: Duration) -> Observed;
}

/// What one reading of the metrics gave. What is absent is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Per key that some rule needs.
    pub usage: BTreeMap<Key, Usage>,
    /// Baselines by rule, in the key's unit.
    pub baselines: BTreeMap<String, BTreeMap<Entity, f64>>,
    /// Answers of query measures by rule.
    pub answers: BTreeMap<String, BTreeMap<Entity, Answer>>,
    /// Burn rates by SLO.
    pub burns: BTreeMap<String, f64>,
    /// What could not be read, for people.
    pub faults: Vec<String>,
}

/// Where facts and the audit chain are kept. Only the leader has one.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// Writes facts and audit entries (sealed into the chain here) in one transaction, and returns the chain's new end.
    /// With nothing to write it renews the lease.
    async fn commit(&self, changes: &[Change], entries: &[Entry]) -> Result<Head, LedgerFault>;
    /// How long the lease still lasts: from the start of the last committed transaction. Zero when it ran out.
    fn lease_left(&self) -> Duration;
    /// The facts as this leader knows them.
    fn ledger(&self) -> Ledger;
}

/// Why a ledger write failed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerFault {
    /// Another process leads. This one must not act any more.
    #[error("another process leads")]
    Fenced,
    /// It was not written in time, or its outcome is unknown; the transaction was aborted where that was possible.
    #[error("{0}")]
    Unavailable(String),
    /// Ledger or audit are not what was written: deleted, emptied, changed. Nothing may be enforced until a person has
    /// looked at it.
    #[error("{0}")]
    Lost(String),
}
