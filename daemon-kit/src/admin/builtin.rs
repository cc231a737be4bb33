//! The routes that every daemon has.

use std::sync::Arc;

use hyper::StatusCode;

use super::{Response, Routes, Shown};
use crate::metrics;
use crate::reload::{Handle, Trigger};

pub(super) fn routes(shown: Shown) -> Routes {
    let Shown { readiness, registry, reload } = shown;
    let routes = Routes::new()
        .get("/live", |_| async { Response::text(StatusCode::OK, "alive") })
        .get("/ready", move |_| {
            let report = readiness.report();
            let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            async move { Response::text(status, report.to_string()) }
        })
        .get("/metrics", move |_| {
            let registry = Arc::clone(&registry);
            async move {
                match tokio::task::spawn_blocking(move || metrics::encode(&registry)).await {
                    Ok(Ok(text)) => Response::new(StatusCode::OK, metrics::OPENMETRICS, text),
                    Ok(Err(_)) | Err(_) => {
                        tracing::error!("cannot encode the metrics");
                        Response::text(StatusCode::INTERNAL_SERVER_ERROR, "cannot encode the metrics")
                    }
                }
            }
        });
    match reload {
        Some(handle) => routes.post("/-/reload", move |_| answer(handle.clone())),
        None => routes,
    }
}

async fn answer(handle: Handle) -> Response {
    match handle.reload(Trigger::Request).await {
        Ok(done) => {
            Response::text(StatusCode::OK, format!("generation {}, sha256 {}", done.generation, done.hash))
        }
        Err(error) => Response::text(StatusCode::BAD_REQUEST, error.to_string()),
    }
}
