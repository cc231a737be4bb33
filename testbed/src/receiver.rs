//! A webhook receiver that remembers what Alertmanager told it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::http::{Call, HttpServer, Reply};
use crate::wait;

/// One alert of a notification. Alertmanager sends groups; here each of the group's alerts is one notification, in the
/// order of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// Time since the receiver was started.
    pub after: Duration,
    /// The path it was sent to: which receiver of the configuration it went through.
    pub path: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// Labels of the alert.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the alert.
    pub annotations: BTreeMap<String, String>,
    /// When it began, as Prometheus says (RFC 3339).
    pub starts_at: String,
}

impl Notification {
    /// A label's value, or nothing.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Whether it tells that the alert began (and not that it ended).
    #[must_use]
    pub fn is_firing(&self) -> bool {
        self.status == "firing"
    }
}

#[derive(Deserialize)]
struct Webhook {
    alerts: Vec<WebhookAlert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebhookAlert {
    status: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: String,
}

type Store = Arc<Mutex<Vec<Notification>>>;

/// A running receiver. `POST` anything from Alertmanager to any path; `GET /` shows everything so far as JSON.
#[derive(Debug)]
pub struct Receiver {
    server: HttpServer,
    store: Store,
}

impl Receiver {
    /// Starts one on a free loopback port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let store = Store::default();
        let written = Arc::clone(&store);
        let start = Instant::now();
        let server = HttpServer::start(move |call| handle(call, &written, start.elapsed())).await?;
        Ok(Self { server, store })
    }

    /// Where to send notifications of the receiver called `name`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.server.address())
    }

    /// Everything so far, oldest first.
    #[must_use]
    pub fn notifications(&self) -> Vec<Notification> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the first notification that `wanted` accepts.
    ///
    /// # Errors
    /// When none has come at the deadline; the message lists those that came.
    pub async fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Notification) -> bool,
    ) -> Result<Notification> {
        let found =
            wait::until(what, limit, || async { Ok(self.notifications().into_iter().find(&wanted)) }).await;
        found.map_err(|error| {
            let came: Vec<String> =
                self.notifications().iter().map(|n| format!("{} {:?}", n.status, n.labels)).collect();
            error.context(format!("{} notifications came: {}", came.len(), came.join("; ")))
        })
    }
}

fn handle(call: &Call, store: &Store, after: Duration) -> Reply {
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    if call.method == Method::GET {
        return match serde_json::to_value(&*store) {
            Ok(all) => Reply::json(StatusCode::OK, &all),
            Err(error) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
    }
    match serde_json::from_slice::<Webhook>(&call.body) {
        Ok(webhook) => {
            store.extend(webhook.alerts.into_iter().map(|alert| Notification {
                after,
                path: call.path.clone(),
                status: alert.status,
                labels: alert.labels,
                annotations: alert.annotations,
                starts_at: alert.starts_at,
            }));
            Reply::text(StatusCode::OK, "")
        }
        Err(error) => Reply::text(StatusCode::BAD_REQUEST, format!("no Alertmanager webhook: {error}\n")),
    }
}
