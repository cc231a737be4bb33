//! `k` of the last `n` samples.

use std::time::Duration;

use crate::policy::Confirm;
use crate::time::Timestamp;
use crate::usage::Rates;

/// The last samples of one client under one rule, newest in the lowest bit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Track {
    over: u64,
    calm: u64,
    /// When the newest sample was scraped.
    pub(super) last: Timestamp,
    flagged: bool,
    /// The highest rate on one broker then.
    worst: f64,
    /// By how much that may have grown per second at the end; unknown with one sample.
    slope: Option<f64>,
}

/// From a decision until a quota is live. What takes longer must not be written: it was decided on a smaller rate.
pub const REACTION: Duration = Duration::from_secs(2);
/// A rise that was seen between two samples may have come about in so short a time.
const SUDDEN: f64 = 1.0;

impl Track {
    /// By how much the sensor on the busiest broker may have grown by the time a write takes effect, in the key's unit: it
    /// goes on as it did in the last second before it was scraped, to which all that it grew by since the sample before may
    /// belong, until it is full. `window` is how long it looks back.
    pub(super) fn rise(&mut self, rates: &Rates, now: Timestamp, window: Duration) -> f64 {
        let worst = rates.worst();
        if rates.at > self.last {
            let since = rates.at.since(self.last).as_secs_f64();
            let known = self.last > Timestamp::default();
            self.slope = known.then(|| ((worst - self.worst) / since.min(SUDDEN)).max(0.0));
            self.worst = worst;
        }
        let ahead = (now.since(rates.at) + REACTION).min(window).as_secs_f64();
        self.slope.unwrap_or(worst) * ahead
    }

    /// Takes a sample, unless it was taken before. A pause longer than `gap` starts over: what was before it says
    /// nothing about now. Returns whether the client is confirmed.
    pub(super) fn push(
        &mut self,
        at: Timestamp,
        over: bool,
        calm: bool,
        confirm: Confirm,
        gap: Duration,
    ) -> bool {
        if at > self.last {
            if at.since(self.last) > gap {
                *self = Self { worst: self.worst, slope: None, ..Self::default() };
            }
            self.over = self.over << 1 | u64::from(over);
            self.calm = self.calm << 1 | u64::from(calm);
            self.last = at;
        }
        if self.over_count(confirm) >= confirm.k {
            self.flagged = true;
        } else if self.calm_count(confirm) >= confirm.k {
            self.flagged = false;
        }
        self.flagged
    }

    /// How many of the last `n` samples were over.
    pub(super) fn over_count(&self, confirm: Confirm) -> u32 {
        count(self.over, confirm.n)
    }

    /// How many of the last `n` samples were calm.
    pub(super) fn calm_count(&self, confirm: Confirm) -> u32 {
        count(self.calm, confirm.n)
    }

    /// The newest sample was over.
    pub(super) fn is_over(&self) -> bool {
        self.over & 1 == 1
    }
}

fn count(bits: u64, n: u32) -> u32 {
    let mask = if n >= 64 { u64::MAX } else { (1 << n) - 1 };
    (bits & mask).count_ones()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::usage::Rate;

    fn rates(seconds: i64, rate: f64) -> Rates {
        let at = Timestamp(seconds * 1_000);
        let brokers = BTreeMap::from([(1, Rate { now: rate, peak: rate })]);
        Rates { brokers, at, covered: (1, 1) }
    }

    #[test]
    fn a_rise_may_be_younger_than_the_sample_before_and_ends_when_the_sensor_is_full() {
        let window = Duration::from_secs(12);
        let rise = |samples: &[(i64, f64)], now: i64| {
            let mut track = Track::default();
            let confirm = Confirm { k: 1, n: 1 };
            let mut rise = 0.0;
            for (at, rate) in samples {
                let rates = rates(*at, *rate);
                rise = track.rise(&rates, Timestamp(now * 1_000), window);
                track.push(rates.at, true, false, confirm, Duration::from_secs(60));
            }
            rise
        };
        assert_eq!(rise(&[(100, 40.0), (115, 40.0)], 120), 0.0, "steady");
        assert_eq!(rise(&[(100, 40.0), (115, 30.0)], 120), 0.0, "falling");
        assert_eq!(rise(&[(100, 40.0), (115, 70.0)], 120), 30.0 * 7.0, "five seconds old, and two to react");
        assert_eq!(rise(&[(100, 40.0), (115, 70.0)], 150), 30.0 * 12.0, "full");
        assert_eq!(rise(&[(115, 70.0)], 115), 70.0 * 2.0, "new");
    }
}
