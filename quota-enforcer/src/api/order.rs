//! Orders: whatever changes something. The admin listener has checked the token.

use std::time::Duration;

use daemon_kit::admin::{Request, Response, StatusCode};
use quota_enforcer_core::control::Order;
use quota_enforcer_core::entity::Entity;
use quota_enforcer_core::quota::Key;
use quota_enforcer_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::asked::Denied;
use super::{Api, Asked, Problem};

/// Paths and what they mean.
pub(super) const ORDERS: [(&str, Kind); 6] = [
    ("/api/v1/release", Kind::Release),
    ("/api/v1/exempt", Kind::Exempt),
    ("/api/v1/unexempt", Kind::Unexempt),
    ("/api/v1/pause", Kind::Pause),
    ("/api/v1/resume", Kind::Resume),
    ("/api/v1/reap", Kind::Reap),
];

/// What can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Give a quota back.
    Release,
    /// Exempt a client for a while.
    Exempt,
    /// End an exemption.
    Unexempt,
    /// Tighten nothing.
    Pause,
    /// Go on.
    Resume,
    /// Release what has expired.
    Reap,
}

/// The body of every order; which fields count is the path's business.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Body {
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Whom it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<Entity>,
    /// Only this quota of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// Everybody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// How long an exemption lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
}

impl Kind {
    /// The last part of its path.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Exempt => "exempt",
            Self::Unexempt => "unexempt",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Reap => "reap",
        }
    }

    /// What is ordered.
    ///
    /// # Errors
    /// What is missing in the body.
    pub fn order(self, body: &Body, now: Timestamp) -> Result<Order, &'static str> {
        let entity = || body.entity.clone().ok_or("`entity` is missing: {\"entity\": \"user=alice\"}");
        let reason = || if body.reason.trim().is_empty() { Err("`reason` is missing") } else { Ok(()) };
        if body.by.trim().is_empty() {
            return Err("`by` is missing: who asks");
        }
        Ok(match self {
            Self::Release if body.all => {
                if body.entity.is_some() || body.key.is_some() {
                    return Err("`all` stands alone");
                }
                reason()?;
                Order::ReleaseAll
            }
            Self::Release => Order::Release { entity: entity()?, key: body.key },
            Self::Exempt => {
                reason()?;
                let seconds = body.for_seconds.ok_or("`for_seconds` is missing")?;
                Order::Exempt { entity: entity()?, until: now + Duration::from_secs(seconds) }
            }
            Self::Unexempt => Order::EndExemption { entity: entity()? },
            Self::Pause => {
                reason()?;
                Order::Pause
            }
            Self::Resume => Order::Resume,
            Self::Reap => Order::Reap,
        })
    }
}

pub(super) async fn place(api: &Api, request: &Request, kind: Kind) -> Response {
    let body: Body = match serde_json::from_slice(&request.body) {
        Ok(body) => body,
        Err(error) => return Problem::bad_request(format!("the body is not what is expected: {error}")),
    };
    let order = match kind.order(&body, Timestamp(api.clock.now_ms())) {
        Ok(order) => order,
        Err(message) => return Problem::bad_request(message),
    };
    let (answer, answered) = oneshot::channel();
    let asked = Asked::Order { order, by: body.by, reason: body.reason, answer };
    if api.orders.send(asked).await.is_err() {
        return Problem::denied(Denied::Ending);
    }
    match answered.await {
        Ok(Ok(ordered)) => Response::json(StatusCode::OK, &ordered),
        Ok(Err(denied)) => Problem::denied(denied),
        Err(_) => Problem::denied(Denied::Ending),
    }
}
