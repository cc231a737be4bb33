//! Metrics that every daemon has, and what helps with its own.
//!
//! Metrics of a daemon are one struct with a constructor that takes the [`Registry`]: two runtimes in one process have
//! two registries.

mod process;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::clock::Clock;

pub use process::Process;

/// Content type of [`encode`]'s text.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `<daemon>_build_info{version="…"} 1`, with dashes of the name as underscores.
pub fn register_build(registry: &mut Registry, daemon: &str, version: &str) {
    let name = format!("{}_build", daemon.replace('-', "_"));
    registry.register(name, "Which build this is", Info::new(vec![("version", version.to_owned())]));
}

/// All metrics as OpenMetrics text. It takes as long as there are series: keep it off the async threads.
///
/// # Errors
/// A collector's.
pub fn encode(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

/// Observes the seconds from its start to its drop, whichever way the operation ends.
#[must_use = "it measures until it is dropped"]
#[derive(Debug)]
pub struct Timer {
    histogram: Histogram,
    clock: Arc<dyn Clock>,
    start: Duration,
}

impl Timer {
    /// Starts to measure.
    pub fn start(histogram: &Histogram, clock: &Arc<dyn Clock>) -> Self {
        Self { histogram: histogram.clone(), clock: Arc::clone(clock), start: clock.monotonic() }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.histogram.observe(self.clock.monotonic().saturating_sub(self.start).as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    #[test]
    fn a_timer_observes_when_it_is_dropped() {
        let mut registry = Registry::default();
        let histogram = Histogram::new([1.0, 10.0]);
        registry.register("work_seconds", "Work", histogram.clone());
        let manual = Arc::new(ManualClock::at_ms(0));
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&manual);
        let timer = Timer::start(&histogram, &clock);
        manual.advance(Duration::from_millis(2_500));
        drop(timer);
        let text = encode(&registry).unwrap();
        assert!(
            text.contains("work_seconds_sum 2.5") && text.contains("work_seconds_bucket{le=\"1.0\"} 0"),
            "{text}"
        );
    }

    #[test]
    fn the_build_is_told() {
        let mut registry = Registry::default();
        register_build(&mut registry, "my-daemon", "1.2.3");
        let text = encode(&registry).unwrap();
        assert!(text.contains("my_daemon_build_info{version=\"1.2.3\"} 1"), "{text}");
    }
}
