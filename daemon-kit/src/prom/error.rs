//! Why there is no answer.

use std::time::Duration;

/// A failed call. No variant ever holds a password, a token or a header value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options cannot be used.
    #[error("{0}")]
    Options(String),
    /// A file named in the options could not be read.
    #[error("cannot read {what} file {path}")]
    File {
        /// What it should hold.
        what: &'static str,
        /// Its path.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// No connection: name, port, TLS.
    #[error("cannot reach {url}")]
    Unreachable {
        /// The server, without credentials.
        url: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// No full answer in time.
    #[error("no answer from {url} within {after:?}")]
    Timeout {
        /// The server, without credentials.
        url: String,
        /// The limit.
        after: Duration,
    },
    /// The connection broke before the answer was complete.
    #[error("the answer of {url} broke off")]
    Interrupted {
        /// The server, without credentials.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The server says what is wrong, in the API's own form.
    #[error("{url} answers {kind}: {message}")]
    Api {
        /// The server, without credentials.
        url: String,
        /// HTTP status.
        status: u16,
        /// `bad_data`, `execution`, `timeout`, `unavailable`…
        kind: String,
        /// Its words.
        message: String,
    },
    /// An HTTP status without such a message: a proxy, a wrong path, missing credentials.
    #[error("{url} answers with HTTP status {status}{}", hint(*.status, .excerpt))]
    Status {
        /// The server, without credentials.
        url: String,
        /// HTTP status.
        status: u16,
        /// Start of the body, one line.
        excerpt: String,
    },
    /// More bytes than allowed; nothing of it is used.
    #[error("the answer of {url} is larger than {limit} bytes")]
    TooLarge {
        /// The server, without credentials.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// Not the API's form.
    #[error("the answer of {url} is not what the Prometheus API gives: {reason}")]
    Malformed {
        /// The server, without credentials.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            Self::Status { status, .. } => *status == 429 || (500..600).contains(status),
            // A query that ran into the server's own limit costs as much again and ends the same way.
            Self::Api { status, kind, .. } => {
                *status == 429
                    || ((500..600).contains(status)
                        && !matches!(kind.as_str(), "timeout" | "canceled" | "execution"))
            }
            Self::Options(_)
            | Self::File { .. }
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. } => false,
        }
    }
}

fn hint(status: u16, excerpt: &str) -> String {
    let meaning = match status {
        300..=399 => " (a redirect, which is not followed: use the address it leads to)",
        401 | 403 => " (credentials missing or refused)",
        404 => " (is this the address of a Prometheus API, path prefix included?)",
        _ => "",
    };
    if excerpt.is_empty() { meaning.to_owned() } else { format!("{meaning}: {excerpt}") }
}
