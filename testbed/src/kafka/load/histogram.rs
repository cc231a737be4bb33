//! A classic histogram, and percentiles of what came since the last look.

use std::fmt::Write as _;
use std::time::Duration;

/// Upper bounds in seconds.
const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Durations: counts for ever, values until they are taken.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// Not cumulative.
    counts: [u64; BOUNDS.len()],
    count: u64,
    sum: Duration,
    recent: Vec<Duration>,
}

impl Histogram {
    pub(super) fn observe(&mut self, value: Duration) {
        let bucket = BOUNDS.iter().position(|bound| value.as_secs_f64() <= *bound);
        if let Some(count) = bucket.and_then(|bucket| self.counts.get_mut(bucket)) {
            *count += 1;
        }
        self.count += 1;
        self.sum += value;
        self.recent.push(value);
    }

    /// What came since the last call, sorted.
    pub(super) fn take(&mut self) -> Vec<Duration> {
        let mut recent = std::mem::take(&mut self.recent);
        recent.sort_unstable();
        recent
    }

    /// Adds its series in the text format.
    pub(super) fn expose(&self, name: &str, labels: &str, text: &mut String) {
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(self.counts) {
            below += count;
            // Writing to a string does not fail.
            writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}").ok();
        }
        writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", self.count).ok();
        writeln!(text, "{name}_sum{{{labels}}} {}", self.sum.as_secs_f64()).ok();
        writeln!(text, "{name}_count{{{labels}}} {}", self.count).ok();
    }
}

/// A percentile (0 to 100) of sorted durations by the nearest rank; `None` of none.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_percentiles() {
        let mut histogram = Histogram::default();
        for millis in [1, 20, 20, 60_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let mut text = String::new();
        histogram.expose("h", "a=\"b\"", &mut text);
        for line in [
            "h_bucket{a=\"b\",le=\"0.005\"} 1",
            "h_bucket{a=\"b\",le=\"0.025\"} 3",
            "h_bucket{a=\"b\",le=\"30\"} 3",
            "h_bucket{a=\"b\",le=\"+Inf\"} 4",
            "h_sum{a=\"b\"} 60.041",
            "h_count{a=\"b\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let recent = histogram.take();
        assert_eq!(percentile(&recent, 50), Some(Duration::from_millis(20)));
        assert_eq!(percentile(&recent, 99), Some(Duration::from_mins(1)));
        assert_eq!(percentile(&histogram.take(), 50), None);
    }
}
