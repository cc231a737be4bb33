//! Why a call failed, and whether it may have had an effect.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;

use crate::config::ConfigError;

/// One broker's address, with its id when it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// The id; `None` for an address from `bootstrap.servers`.
    pub id: Option<i32>,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = self.id {
            write!(f, "broker {id} at ")?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// An error code of the Kafka protocol, never zero. Shown with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    pub(crate) const UNSUPPORTED_VERSION: i16 = 35;
    pub(crate) const SASL_AUTHENTICATION_FAILED: i16 = 58;
    const UNKNOWN_SERVER_ERROR: i16 = -1;
    const THROTTLING_QUOTA_EXCEEDED: i16 = 89;

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        ResponseError::try_from_code(self.0).is_some_and(|error| error.is_retriable())
    }

    /// Whether the broker may have done what it was asked all the same.
    ///
    /// A broker that forwards to the controller answers `REQUEST_TIMED_OUT` without knowing, and a controller that loses
    /// its office fails records it has already appended with `NOT_CONTROLLER`.
    fn leaves_outcome_unknown(self) -> bool {
        self.0 == Self::UNKNOWN_SERVER_ERROR
            || (self.is_retriable() && self.0 != Self::THROTTLING_QUOTA_EXCEEDED)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(error) = ResponseError::try_from_code(self.0) else { return write!(f, "NONE ({})", self.0) };
        if matches!(error, ResponseError::Unknown(_)) {
            return write!(f, "error code {}", self.0);
        }
        for (index, letter) in error.to_string().chars().enumerate() {
            let underscore = if index > 0 && letter.is_ascii_uppercase() { "_" } else { "" };
            write!(f, "{underscore}{}", letter.to_ascii_uppercase())?;
        }
        write!(f, " ({})", self.0)
    }
}

/// What is known about the effect of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No byte of the request reached a broker.
    NotSent,
    /// The broker refused it.
    Refused,
    /// It was sent and may have been carried out: look before acting again.
    Unknown,
}

/// A failed call. No variant ever holds a password or a key.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No connection: name, port, network.
    #[error("cannot reach {endpoint}: {source}")]
    Unreachable {
        /// Whom.
        endpoint: Endpoint,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// TLS fails: certificates, names, versions.
    #[error("TLS with {endpoint} fails: {reason}")]
    Tls {
        /// With whom.
        endpoint: Endpoint,
        /// Why.
        reason: String,
    },
    /// The broker does not accept the credentials, or does not prove its own.
    #[error("{endpoint} does not authenticate us with {mechanism}: {message}")]
    Authentication {
        /// Who.
        endpoint: Endpoint,
        /// SASL mechanism.
        mechanism: &'static str,
        /// Why, in Kafka's words where it gave any.
        message: String,
    },
    /// No full answer in time.
    #[error("no answer to {request} from {endpoint} within {after:?}{}", unsent(*.outcome))]
    Timeout {
        /// Name of the request, or `connect`.
        request: String,
        /// From whom.
        endpoint: Endpoint,
        /// How long it was waited for.
        after: Duration,
        /// Whether the request had been sent.
        outcome: Outcome,
    },
    /// The connection broke before the answer came.
    #[error("{request}: the connection to {endpoint} broke: {reason}")]
    Interrupted {
        /// Name of the request.
        request: String,
        /// With whom.
        endpoint: Endpoint,
        /// Why.
        reason: String,
        /// Whether the request had been sent.
        outcome: Outcome,
    },
    /// The answer is not what the protocol says.
    #[error("{request}: the answer of {endpoint} is not the Kafka protocol: {reason}")]
    Malformed {
        /// Name of the request.
        request: String,
        /// Whose.
        endpoint: Endpoint,
        /// What is wrong with it.
        reason: String,
        /// Whether the request had been sent.
        outcome: Outcome,
    },
    /// There is no version of the request that both sides know.
    #[error(
        "{endpoint} does not serve {request} in versions {} to {}{}",
        ours.0, ours.1, served(*theirs)
    )]
    Unsupported {
        /// Name of the request.
        request: String,
        /// Who.
        endpoint: Endpoint,
        /// Least and greatest version of this client.
        ours: (i16, i16),
        /// Those of the broker; `None` when it does not have the request at all.
        theirs: Option<(i16, i16)>,
    },
    /// The request cannot be encoded.
    #[error("{request} cannot be sent: {reason}")]
    Request {
        /// Name of the request.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Kafka refuses.
    #[error("{request}: {endpoint} answers {code}{}", worded(.message))]
    Kafka {
        /// Name of the request.
        request: String,
        /// Who.
        endpoint: Endpoint,
        /// Its code.
        code: ErrorCode,
        /// Its words.
        message: Option<String>,
    },
    /// The cluster has no broker of this id, or not at the moment.
    #[error("the cluster names no broker {0}")]
    UnknownBroker(i32),
    /// An earlier part of the same call failed.
    #[error("not tried, because an earlier part failed: {0}")]
    NotTried(Box<Error>),
}

impl Error {
    /// What is known about the effect of the call.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Timeout { outcome, .. }
            | Self::Interrupted { outcome, .. }
            | Self::Malformed { outcome, .. } => *outcome,
            Self::Kafka { code, .. } if code.leaves_outcome_unknown() => Outcome::Unknown,
            Self::Kafka { .. } => Outcome::Refused,
            _ => Outcome::NotSent,
        }
    }

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Interrupted { .. } => true,
            Self::UnknownBroker(_) => true,
            Self::Kafka { code, .. } => code.is_retriable(),
            Self::NotTried(first) => first.is_transient(),
            _ => false,
        }
    }

    /// Kafka's code, if Kafka refused.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Kafka { code, .. } => Some(*code),
            _ => None,
        }
    }
}

fn served(theirs: Option<(i16, i16)>) -> String {
    theirs.map_or_else(|| ", nor any other".to_owned(), |(least, most)| format!(", only {least} to {most}"))
}

fn unsent(outcome: Outcome) -> &'static str {
    if outcome == Outcome::NotSent { ", and no request was sent" } else { "" }
}

fn worded(message: &Option<String>) -> String {
    message.as_ref().filter(|text| !text.is_empty()).map_or_else(String::new, |text| format!(": {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(code: i16) -> Error {
        let endpoint = Endpoint { id: None, host: "::1".to_owned(), port: 9092 };
        Error::Kafka {
            request: "AlterClientQuotas".to_owned(),
            endpoint,
            code: ErrorCode(code),
            message: None,
        }
    }

    #[test]
    fn codes_have_kafkas_names() {
        let shown = [31, 35, -1, 1_000, 0].map(|code| ErrorCode(code).to_string());
        let names = [
            "CLUSTER_AUTHORIZATION_FAILED (31)",
            "UNSUPPORTED_VERSION (35)",
            "UNKNOWN_SERVER_ERROR (-1)",
            "error code 1000",
            "NONE (0)",
        ];
        assert_eq!(shown, names);
        assert_eq!(
            kafka(31).to_string(),
            "AlterClientQuotas: [::1]:9092 answers CLUSTER_AUTHORIZATION_FAILED (31)"
        );
    }

    #[test]
    fn a_refusal_that_may_have_had_an_effect_says_so() {
        let outcomes = [31, 42, 89, 7, 41, -1].map(|code| kafka(code).outcome());
        let (refused, unknown) = (Outcome::Refused, Outcome::Unknown);
        assert_eq!(outcomes, [refused, refused, refused, unknown, unknown, unknown]);
    }
}
