//! When the next record is due.

use std::time::Duration;

use tokio::time::Instant;

/// What was missed longer ago is not made up for: a producer that was blocked goes on at its rate, without a burst.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Spaces records evenly at a rate that may change.
#[derive(Debug)]
pub(super) struct Pace {
    next: Instant,
}

impl Pace {
    /// The first record is due at once.
    pub(super) const fn new(now: Instant) -> Self {
        Self { next: now }
    }

    /// How long to wait for the next record.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// A record of `bytes` is sent now, at `rate` bytes/s.
    pub(super) fn sent(&mut self, now: Instant, bytes: usize, rate: f64) {
        let bytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        let gap = Duration::try_from_secs_f64(bytes / rate).unwrap_or(Duration::MAX);
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        self.next = self.next.max(earliest).checked_add(gap).unwrap_or(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_rate_and_does_not_make_up_for_a_long_block() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let second = Duration::from_secs(1);
        let mut count = |from: Instant, length: Duration| {
            let mut now = from;
            let mut sent = 0;
            loop {
                now += pace.wait(now);
                if now >= from + length {
                    return sent;
                }
                pace.sent(now, 1_000, 100_000.0);
                sent += 1;
            }
        };
        assert_eq!(count(start, second), 100);
        assert_eq!(count(start + second * 60, second), 110, "a tenth of a second is made up for");
    }
}
