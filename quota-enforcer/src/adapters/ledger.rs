//! The ledger and the audit chain: two topics, one writer.
//!
//! ```text
//!  member ── consumer group, fixed id ── assigned? ──> establish: fence, read, check, say who leads
//!     │                                                     │
//!     └── revoked, session lost ──> ends ──> Store <────────┘── producer, fixed transactional id
//!                                              └── one transaction: facts + audit lines + the chain's end
//! ```
//!
//! - The consumer group assigns the ledger's one partition to one process at a time; the others wait in it.
//! - Who is assigned calls `InitProducerId` with the transactional id that all share, which fences whoever led before: what
//!   that one still sends is refused. Then it reads the ledger and writes who leads.
//! - A leader may act until its lease ends, counted from the start of its last committed transaction. A new leader waits
//!   the old lease and the time that a sent quota write may take, both counted from the fence.
//! - Group id and transactional id are the same for all, whatever their ledger is called, so that two enforcers of one
//!   cluster meet: see [`Fault::Rival`].
//!
//! Whatever is uncertain ends the leadership: the next one reads what is true.

mod audit;
mod batch;
mod checks;
mod claim;
mod client;
mod election;
mod establish;
mod fault;
mod member;
mod read;
mod store;
mod topics;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use daemon_kit::clock::Clock;

use crate::spec;

pub use audit::AuditLines;
pub use election::{Election, Leadership, as_leader};
pub use fault::Fault;
pub use read::read_ledger;
pub use store::{End, Store};
pub use topics::ensure_topics;

/// Consumer group and transactional id of every enforcer.
pub const IDENTITY: &str = "backstop-quota-enforcer";
/// Both topics have one partition.
const PARTITION: i32 = 0;

/// What the configuration says of the topics, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Both topics and the lease, a multiple of `timeout`.
    pub ledger: spec::Ledger,
    /// How long each step of a transaction may take: sending, committing, taking back.
    pub timeout: Duration,
    /// How long after its lease a leader may still send the quota write that it began within it.
    pub request_timeout: Duration,
    /// How long a leader may be silent before the group gives the ledger to another (`session.timeout.ms`; brokers take
    /// 6 s to 30 min by default).
    pub session: Duration,
    /// Name of this process in ledger, audit and log.
    pub instance: String,
    /// Base address of this process's API, if others can reach it.
    pub api: Option<String>,
}

#[cfg(test)]
impl Settings {
    fn sample() -> Self {
        let second = Duration::from_secs(1);
        let ledger = spec::Ledger {
            topic: "ledger".to_owned(),
            audit_topic: "audit".to_owned(),
            replication: 3,
            min_insync_replicas: 2,
            audit_retention: second * 31_536_000,
            lease: second * 15,
        };
        let instance = "here".to_owned();
        Self { ledger, timeout: second, request_timeout: second, session: second, instance, api: None }
    }
}

/// Where ledger and audit are.
#[derive(Clone)]
pub struct Place {
    /// How the cluster is reached.
    pub config: kafka_admin::Config,
    /// A client of the cluster.
    pub admin: kafka_admin::Client,
    /// Topics and times.
    pub settings: Settings,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Runs what blocks where blocking is allowed. A panic there is a fault here.
async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(run).await {
        Ok(result) => result,
        Err(error) => Err(Fault::Died(error.to_string())),
    }
}
