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

/// Names, copies and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the ledger's topic.
    pub ledger: String,
    /// Name of the audit topic.
    pub audit: String,
    /// Replicas of both topics.
    pub replication: u16,
    /// `min.insync.replicas` of both: what is acknowledged survives the loss of one broker less.
    pub min_insync_replicas: u16,
    /// How long audit records are kept; `None` for ever.
    pub audit_retention: Option<Duration>,
    /// How long a leader may act after the start of its last committed transaction. A multiple of `timeout`.
    pub lease: Duration,
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            ledger: "quota-enforcer-ledger".to_owned(),
            audit: "quota-enforcer-audit".to_owned(),
            replication: 3,
            min_insync_replicas: 2,
            audit_retention: Some(Duration::from_secs(7 * 365 * 24 * 60 * 60)),
            lease: Duration::from_secs(20),
            timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            session: Duration::from_secs(10),
            instance: "quota-enforcer".to_owned(),
            api: None,
        }
    }
}

/// Where ledger and audit are.
#[derive(Clone)]
pub struct Place {
    /// How the cluster is reached.
    pub config: kafka_admin::Config,
    /// A client of the cluster.
    pub admin: kafka_admin::Client,
    /// Names, copies and times.
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
