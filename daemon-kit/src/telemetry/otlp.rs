//! Spans to an OTLP/HTTP collector.
//!
//! The exporter's HTTP client is the blocking one, which sends from a thread of its own; it must neither be built nor be
//! shut down on an async thread.

use std::io;
use std::thread;
use std::time::Duration;

use hyper::Uri;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryError;
use crate::tasks::BoxError;

/// For one export, and for the last one.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) fn provider(
    endpoint: &str,
    service: &str,
    version: &str,
) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = traces_url(endpoint)
        .map_err(BoxError::from)
        .and_then(|url| {
            off_async(move || {
                SpanExporter::builder().with_http().with_endpoint(url).with_timeout(LIMIT).build()
            })
        })
        .map_err(|source| TelemetryError::Endpoint {
            endpoint: without_credentials(endpoint).to_owned(),
            source,
        })?;
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", version.to_owned()))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// Spans of level info and above; what the exporter itself does is none of them.
pub(super) fn layer<S>(tracer: &SdkTracerProvider, service: &str) -> impl Layer<S> + Send + Sync + use<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let filter = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets(["opentelemetry", "hyper", "hyper_util", "reqwest"].map(|own| (own, LevelFilter::OFF)));
    tracing_opentelemetry::layer().with_tracer(tracer.tracer(service.to_owned())).with_filter(filter)
}

/// Blocks: sends what is left.
pub(super) fn shutdown(tracer: &SdkTracerProvider) -> OTelSdkResult {
    tracer.shutdown_with_timeout(LIMIT)
}

fn off_async<T, E>(build: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, BoxError>
where
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    let built = thread::Builder::new().name("otlp-setup".to_owned()).spawn(build)?.join();
    built.map_err(|_| io::Error::other("the exporter's set-up panicked"))?.map_err(Into::into)
}

/// The exporter's own errors quote the URL, so what may hold a password does not get that far.
fn traces_url(endpoint: &str) -> Result<String, &'static str> {
    let parsed = endpoint.parse::<Uri>().map_err(|_| "it is no URL")?;
    if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("credentials belong into OTEL_EXPORTER_OTLP_HEADERS");
    }
    match parsed.scheme_str() {
        Some("http" | "https") => Ok(format!("{}/v1/traces", endpoint.trim_end_matches('/'))),
        _ => Err("it is neither http nor https"),
    }
}

fn without_credentials(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}
