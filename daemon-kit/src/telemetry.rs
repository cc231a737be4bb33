//! Log lines on standard error and, for a daemon with an endpoint, traces over OTLP.
//!
//! A command calls [`init`]; a daemon calls `start` (feature `runtime`), which sends traces too.

#[cfg(feature = "runtime")]
mod daemon;
#[cfg(feature = "runtime")]
mod otlp;

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

use crate::args::LogFormat;

#[cfg(feature = "runtime")]
pub use daemon::{Options, Telemetry, start};

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is no filter.
    #[error("invalid log filter `{filter}`")]
    Filter {
        /// As given.
        filter: String,
        /// Why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was set up before.
    #[error("logging is set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
    /// Traces cannot be sent to that endpoint.
    #[cfg(feature = "runtime")]
    #[error("cannot set up traces to {endpoint}")]
    Endpoint {
        /// As given, without credentials.
        endpoint: String,
        /// Why.
        source: crate::tasks::BoxError,
    },
}

/// Sends what the filter lets through to standard error, for the rest of the process.
///
/// # Errors
/// A wrong filter, or a second call.
pub fn init(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let layer = lines(format, color(), io::stderr).with_filter(events(filter)?);
    Ok(Registry::default().with(layer).try_init()?)
}

fn color() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Spans are for traces: a line has no prefix of them, and without an endpoint they are never made.
fn events<S: tracing::Subscriber>(
    filter: &str,
) -> Result<impl Filter<S> + Send + Sync + use<S>, TelemetryError> {
    let wanted = EnvFilter::try_new(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
    // With a hint, so that the other filter's own one holds.
    Ok(filter_fn(|metadata| metadata.is_event()).with_max_level_hint(LevelFilter::TRACE).and(wanted))
}

fn lines<S, W>(format: LogFormat, color: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(color);
    match format {
        LogFormat::Text => layer.with_target(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let layer = lines(format, false, move || writer.clone()).with_filter(events(filter).unwrap());
        let subscriber = Registry::default().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("pass", number = 1);
            assert!(span.is_disabled(), "nobody wants it");
            let _within = span.entered();
            tracing::info!(count = 3, "loaded specs");
            tracing::debug!("details");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_are_text_or_json() {
        let text = logged("info", LogFormat::Text);
        assert!(
            text.trim_end().ends_with(" INFO loaded specs count=3") && !text.contains("details"),
            "{text}"
        );
        let json: serde_json::Value = serde_json::from_str(&logged("info", LogFormat::Json)).unwrap();
        assert_eq!((json["message"].as_str(), json["count"].as_u64()), (Some("loaded specs"), Some(3)));
        assert!(json.get("span").is_none() && json.get("spans").is_none(), "{json}");
    }

    #[test]
    fn a_wrong_filter_is_an_error() {
        assert!(matches!(init("a=b=c", LogFormat::Text), Err(TelemetryError::Filter { .. })));
    }
}
