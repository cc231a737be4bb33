use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::panic::{self, PanicHookInfo};

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{TelemetryError, color, events, lines, otlp};
use crate::args::LogFormat;
use crate::tasks;

/// What a daemon tells of itself, and where.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Its name, as traces show it.
    pub service: &'a str,
    /// Its version, as traces show it.
    pub version: &'a str,
    /// What is logged: a level, or `target=level` pairs.
    pub filter: &'a str,
    /// How log lines are written.
    pub format: LogFormat,
    /// Base URL of an OTLP/HTTP collector, if traces are wanted; they go to its `/v1/traces`.
    pub otlp_endpoint: Option<&'a str>,
}

/// Logging and tracing of this process.
#[derive(Debug)]
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
}

/// Sets up logging, and traces if there is an endpoint, for the rest of the process. From here on a panic is a log line
/// that names its task.
///
/// # Errors
/// A wrong filter or endpoint, or a second call.
pub fn start(options: Options<'_>) -> Result<Telemetry, TelemetryError> {
    let (subscriber, telemetry) = assemble(options, color(), io::stderr)?;
    subscriber.try_init()?;
    panic::set_hook(Box::new(log_panic));
    Ok(telemetry)
}

impl Telemetry {
    /// Sends the spans that are left; waits for them as long as one export may take.
    pub async fn shutdown(self) {
        let Some(tracer) = self.tracer else { return };
        match tokio::task::spawn_blocking(move || otlp::shutdown(&tracer)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces were not sent"),
            Err(error) => tracing::warn!(%error, "the last traces were not sent"),
        }
    }
}

fn assemble<W>(
    options: Options<'_>,
    color: bool,
    writer: W,
) -> Result<(impl tracing::Subscriber + Send + Sync, Telemetry), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = events(options.filter)?;
    let tracer = options
        .otlp_endpoint
        .filter(|endpoint| !endpoint.is_empty())
        .map(|endpoint| otlp::provider(endpoint, options.service, options.version))
        .transpose()?;
    let mut layers = vec![lines(options.format, color, writer).with_filter(filter).boxed()];
    // No layer rather than an empty one, which would have spans made.
    layers.extend(tracer.as_ref().map(|tracer| otlp::layer(tracer, options.service).boxed()));
    Ok((Registry::default().with(layers), Telemetry { tracer }))
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let task = tasks::current();
    let task = task.as_deref().unwrap_or("none");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(task, place, %backtrace, "panic: {message}");
    } else {
        tracing::error!(task, place, "panic: {message}");
    }
}

#[cfg(test)]
mod tests;
