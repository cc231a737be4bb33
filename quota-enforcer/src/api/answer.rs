//! Answers that say no, in one form.

use daemon_kit::admin::{Response, StatusCode};
use quota_enforcer_core::ledger::Leader;
use serde::{Deserialize, Serialize};

use super::asked::Denied;
use crate::engine::OrderError;

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable name for scripts: `bad-request`, `not-leader`, `refused`, `unavailable`.
    pub error: String,
    /// For people.
    pub message: String,
    /// Who leads, where another process does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<Leader>,
}

impl Problem {
    fn answer(status: StatusCode, error: &str, message: String, leader: Option<Leader>) -> Response {
        Response::json(status, &Self { error: error.to_owned(), message, leader })
    }

    /// Where the leader is asked, when another process leads and says where.
    pub(super) fn elsewhere(&self) -> Option<&str> {
        self.leader.as_ref().filter(|_| self.error == "not-leader")?.api.as_deref()
    }

    /// The request makes no sense.
    pub(super) fn bad_request(message: impl Into<String>) -> Response {
        Self::answer(StatusCode::BAD_REQUEST, "bad-request", message.into(), None)
    }

    /// It cannot be answered now.
    pub(super) fn unavailable(message: impl Into<String>) -> Response {
        Self::answer(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message.into(), None)
    }

    /// An order was not carried out.
    pub(super) fn denied(denied: Denied) -> Response {
        let message = denied.to_string();
        match denied {
            Denied::NotLeader { leader, .. } => {
                Self::answer(StatusCode::CONFLICT, "not-leader", message, leader)
            }
            Denied::Order(OrderError::Refused(_)) => {
                Self::answer(StatusCode::CONFLICT, "refused", message, None)
            }
            Denied::Order(OrderError::Ledger(_) | OrderError::Quotas(_) | OrderError::Clock(_))
            | Denied::Ending => Self::unavailable(message),
        }
    }
}
