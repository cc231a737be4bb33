//! The API below `/api/v1/`, described by `openapi.yaml`.
//!
//! Reading answers from the last tick, whoever leads. What changes something is an [`Asked`]: the engine's task carries it
//! out between two ticks, as leader, or says who leads.

mod answer;
pub mod asked;
pub mod client;
pub mod order;
mod read;

use std::sync::Arc;
use std::time::Duration;

use daemon_kit::admin::{Request, Routes};
use daemon_kit::clock::Clock;
use tokio::sync::{mpsc, watch};

pub use answer::Problem;
pub use asked::{Asked, Denied};

use crate::status::Status;
use crate::views::Seen;
use crate::views::history::Records;

/// How long an answer may take: an order waits for a tick to end, and a history for a topic to be read.
pub const REQUEST_TIME: Duration = Duration::from_secs(60);

/// What requests are answered from.
#[derive(Clone)]
pub struct Api {
    /// The last status.
    pub status: watch::Receiver<Arc<Status>>,
    /// The last tick; `None` before the first.
    pub seen: watch::Receiver<Option<Arc<Seen>>>,
    /// Who carries orders out.
    pub orders: mpsc::Sender<Asked>,
    /// Who says what would be done: after the orders, which may be a matter of minutes.
    pub plans: mpsc::Sender<Asked>,
    /// Where the audit chain is read.
    pub records: Arc<dyn Records>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// All routes.
#[must_use]
pub fn routes(api: &Api) -> Routes {
    let handler = |handle: fn(&Api, &Request) -> daemon_kit::admin::Response| {
        let api = api.clone();
        move |request: Request| {
            let response = handle(&api, &request);
            async move { response }
        }
    };
    let history = {
        let api = api.clone();
        move |request: Request| {
            let api = api.clone();
            async move { read::history(&api, &request).await }
        }
    };
    let plan = {
        let api = api.clone();
        move |_: Request| {
            let api = api.clone();
            async move { read::plan(&api).await }
        }
    };
    let routes = Routes::new()
        .get("/api/v1/status", handler(read::status))
        .get("/api/v1/holds", handler(read::holds))
        .get("/api/v1/verdicts", handler(read::verdicts))
        .get("/api/v1/entities", handler(read::entity))
        .get("/api/v1/audit/head", handler(read::head))
        .get("/api/v1/plan", plan)
        .get("/api/v1/history", history);
    order::ORDERS.into_iter().fold(routes, |routes, (path, order)| {
        let api = api.clone();
        routes.post(path, move |request: Request| {
            let api = api.clone();
            async move { order::place(&api, &request, order).await }
        })
    })
}
