//! A shop's traffic: four services, several instances each, with real counters and classic histograms.
//!
//! | path | answers |
//! |---|---|
//! | `GET /<instance>/metrics` | the instance's metrics, such as `/checkout-1/metrics`; 503 while it is down |
//! | `GET /control` | how every service behaves |
//! | `POST /control` | changes a service: `{"service": "checkout", "error_ratio": 0.5, "latency_factor": 8, "traffic_factor": 1, "down": false}`; what is not named stays |
//!
//! Metrics: `http_requests_total{code}` and `http_request_duration_seconds` (histogram). Prometheus adds `job="shop"`,
//! `service` and `instance`.

mod model;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};
use hyper::{Method, StatusCode};
use tokio::time::Instant;

pub use model::{Behaviour, Change, Model};

use crate::http::{Call, HttpServer, Reply};
use crate::prometheus::Target;

/// A running shop.
#[derive(Debug)]
pub struct Shop {
    server: HttpServer,
    clock: Instant,
    model: Arc<Mutex<Model>>,
    targets: Vec<(String, String)>,
}

impl Shop {
    /// Opens the shop. The same seed gives the same customers.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(seed: u64) -> Result<Self> {
        let model = Model::new(seed);
        let targets = model.instances();
        let model = Arc::new(Mutex::new(model));
        let clock = Instant::now();
        let shared = Arc::clone(&model);
        let server = HttpServer::start(move |call| {
            let mut model = shared.lock().unwrap_or_else(PoisonError::into_inner);
            model.advance(clock.elapsed());
            handle(call, &mut model)
        })
        .await?;
        Ok(Self { server, clock, model, targets })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What Prometheus should scrape: one target for each instance.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let target = |(service, instance): &(String, String)| Target {
            job: "shop".to_owned(),
            address: self.address(),
            labels: BTreeMap::from([
                ("service".to_owned(), service.clone()),
                ("instance".to_owned(), instance.clone()),
                ("__metrics_path__".to_owned(), format!("/{instance}/metrics")),
            ]),
        };
        self.targets.iter().map(target).collect()
    }

    /// Changes how a service behaves from now on, as `POST /control` does.
    ///
    /// # Errors
    /// When there is no such service or a number is out of range.
    pub fn change(&self, change: &Change) -> Result<()> {
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        model.advance(self.clock.elapsed());
        model.change(change).map_err(|message| anyhow!(message))
    }
}

fn handle(call: &Call, model: &mut Model) -> Reply {
    match (&call.method, call.path.as_str()) {
        (&Method::GET, "/control") => Reply::json(StatusCode::OK, &model.behaviours()),
        (&Method::POST, "/control") => {
            let changed = serde_json::from_slice::<Change>(&call.body)
                .map_err(|error| error.to_string())
                .and_then(|change| model.change(&change));
            match changed {
                Ok(()) => Reply::json(StatusCode::OK, &model.behaviours()),
                Err(message) => Reply::text(StatusCode::BAD_REQUEST, format!("{message}\n")),
            }
        }
        (&Method::GET, path) => {
            let instance = path.strip_prefix('/').and_then(|rest| rest.strip_suffix("/metrics"));
            match instance.and_then(|instance| model.expose(instance)) {
                Some(Ok(text)) => Reply::metrics(text),
                Some(Err(down)) => Reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("{down}\n")),
                None => Reply::text(StatusCode::NOT_FOUND, "try /control or /checkout-1/metrics\n"),
            }
        }
        _ => Reply::text(StatusCode::METHOD_NOT_ALLOWED, ""),
    }
}
