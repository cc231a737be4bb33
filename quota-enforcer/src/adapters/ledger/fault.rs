//! Why there is no ledger.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use quota_enforcer_core::ledger::LedgerError;

/// Why ledger or audit cannot be used, or this process cannot lead.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A call of librdkafka failed.
    #[error("{what}: {source}")]
    Kafka {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: KafkaError,
    },
    /// A call of the admin client failed.
    #[error(transparent)]
    Admin(#[from] kafka_admin::Error),
    /// The topics are not what they must be.
    #[error("{}", .0.join("; "))]
    Topics(Vec<String>),
    /// A record of the ledger is not understood. Nothing is done on the rest.
    #[error("record {offset} of topic {topic}: {source}")]
    Record {
        /// Topic.
        topic: String,
        /// Offset.
        offset: i64,
        /// Why.
        source: LedgerError,
    },
    /// Ledger or audit are not what was written.
    #[error("{0}")]
    Lost(String),
    /// Another enforcer of this cluster has another ledger.
    #[error("{0}")]
    Rival(String),
    /// Another process leads.
    #[error("{0} leads")]
    Led(String),
    /// It took too long.
    #[error("{0}")]
    Late(String),
    /// Part of this process died.
    #[error("{0}")]
    Died(String),
}

impl Fault {
    pub(super) fn kafka(what: impl Into<String>) -> impl FnOnce(KafkaError) -> Self {
        let what = what.into();
        move |source| Self::Kafka { what, source }
    }

    /// It stays until a person does something: trying again is of no use.
    #[must_use]
    pub fn needs_a_human(&self) -> bool {
        match self {
            Self::Topics(_) | Self::Record { .. } | Self::Lost(_) | Self::Rival(_) => true,
            Self::Kafka { source, .. } => source.rdkafka_error_code().is_some_and(refused),
            Self::Admin(error) => !error.is_transient(),
            Self::Led(_) | Self::Late(_) | Self::Died(_) => false,
        }
    }
}

/// Permissions and names, which do not change by waiting.
pub(super) fn refused(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::InvalidTransactionTimeout
            | RDKafkaErrorCode::InvalidSessionTimeout
    )
}
