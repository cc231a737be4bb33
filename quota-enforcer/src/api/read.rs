//! Questions.

use std::sync::Arc;

use daemon_kit::admin::{Request, Response, StatusCode};
use quota_enforcer_core::entity::Entity;
use tokio::sync::oneshot;

use super::{Api, Asked, Problem};
use crate::views::Seen;
use crate::views::explain::explain;
use crate::views::history::Wanted;

/// Records of a history, unless another number is asked for, and at most.
const RECORDS: (usize, usize) = (100, 10_000);

pub(super) fn status(api: &Api, _: &Request) -> Response {
    Response::json(StatusCode::OK, &**api.status.borrow())
}

pub(super) fn holds(api: &Api, _: &Request) -> Response {
    Response::json(StatusCode::OK, &api.status.borrow().holds)
}

pub(super) fn verdicts(api: &Api, _: &Request) -> Response {
    Response::json(StatusCode::OK, &api.status.borrow().verdicts)
}

pub(super) fn entity(api: &Api, request: &Request) -> Response {
    let Some(text) = request.value("entity") else {
        return Problem::bad_request("`entity` is missing: ?entity=user%3Dalice");
    };
    match text.parse::<Entity>() {
        Err(error) => Problem::bad_request(error.to_string()),
        Ok(entity) => with_seen(api, |seen| Response::json(StatusCode::OK, &explain(&entity, seen))),
    }
}

pub(super) fn head(api: &Api, _: &Request) -> Response {
    with_seen(api, |seen| Response::json(StatusCode::OK, &seen.ledger.head.clone().unwrap_or_default()))
}

fn with_seen(api: &Api, answer: impl FnOnce(&Seen) -> Response) -> Response {
    let seen: Option<Arc<Seen>> = api.seen.borrow().clone();
    match seen {
        Some(seen) => answer(&seen),
        None => Problem::unavailable("nothing was read yet: the first tick is under way"),
    }
}

pub(super) async fn plan(api: &Api) -> Response {
    let (answer, answered) = oneshot::channel();
    if api.plans.send(Asked::Plan { answer }).await.is_err() {
        return Problem::unavailable("the process ends");
    }
    match answered.await {
        Ok(plan) => Response::json(StatusCode::OK, &plan),
        Err(_) => Problem::unavailable("the process ends"),
    }
}

pub(super) async fn history(api: &Api, request: &Request) -> Response {
    let wanted = match wanted(request) {
        Ok(wanted) => wanted,
        Err(message) => return Problem::bad_request(message),
    };
    match api.records.history(&wanted).await {
        Ok(history) => Response::json(StatusCode::OK, &history),
        Err(message) => Problem::unavailable(message),
    }
}

fn wanted(request: &Request) -> Result<Wanted, String> {
    let entity = request.value("entity").map(|text| text.parse::<Entity>());
    let entity = entity.transpose().map_err(|error| error.to_string())?;
    let (usual, most) = RECORDS;
    let limit = match request.value("limit") {
        None => usual,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=most).contains(limit))
            .ok_or_else(|| format!("`limit` is a number from 1 to {most}"))?,
    };
    Ok(Wanted { entity, limit })
}
