//! `k` of the last `n` samples.
//!
//! Brokers are scraped at different moments. Readings make a new sample only when every broker was scraped again since the
//! sample before, for what one broker says a second time is no second evidence.

use std::time::Duration;

use crate::policy::Confirm;
use crate::time::Timestamp;
use crate::usage::Rates;

/// The last samples of one client under one rule, newest in the lowest bit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Track {
    over: u64,
    calm: u64,
    free: u64,
    /// The newest reading of the sample counted last.
    pub(super) last: Timestamp,
    flagged: bool,
    /// The highest rate on one broker then.
    worst: f64,
    /// By how much that may have grown per second at the end: all that it grew by since the sample before may have come about in
    /// the last second. Unknown with one sample.
    slope: Option<f64>,
}

/// What one sample says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Above the threshold.
    pub(super) over: bool,
    /// Below the release threshold, and free.
    pub(super) calm: bool,
    /// Not pressed against a bound of ours.
    pub(super) free: bool,
}

/// From a decision until a quota is live. What takes longer must not be written: it was decided on a smaller rate.
pub const REACTION: Duration = Duration::from_secs(2);
/// A rise that was seen between two samples may have come about in so short a time.
const SUDDEN: f64 = 1.0;

impl Track {
    /// By how much the sensor on the busiest broker may have grown by the time a write takes effect, in the key's unit: it
    /// goes on as it did in the last second before it was scraped, until it is full. `window` is how long it looks back.
    pub(super) fn rise(&self, rates: &Rates, now: Timestamp, window: Duration) -> f64 {
        let worst = rates.worst();
        // Some brokers may have been scraped again since the sample.
        let since = (worst - self.worst).max(0.0) / SUDDEN;
        let ahead = (now.since(rates.at) + REACTION).min(window).as_secs_f64();
        self.slope.map_or(worst, |slope| slope.max(since)) * ahead
    }

    /// Takes a sample, if it is a new one. A pause longer than `gap` starts over: what was before it says nothing about now.
    /// Returns whether the client is confirmed.
    pub(super) fn push(&mut self, rates: &Rates, sample: Sample, confirm: Confirm, gap: Duration) -> bool {
        if rates.at > self.last {
            if rates.at.since(self.last) > gap {
                *self = Self::default();
            }
            let worst = rates.worst();
            let known = self.last > Timestamp::default();
            let apart = rates.newest.since(self.last).as_secs_f64();
            self.slope = known.then(|| ((worst - self.worst) / apart.min(SUDDEN)).max(0.0));
            self.worst = worst;
            self.over = self.over << 1 | u64::from(sample.over);
            self.calm = self.calm << 1 | u64::from(sample.calm);
            self.free = self.free << 1 | u64::from(sample.free);
            self.last = rates.newest;
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

    /// How many of the last `n` samples were free.
    pub(super) fn free_count(&self, confirm: Confirm) -> u32 {
        count(self.free, confirm.n)
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

    const OVER: Sample = Sample { over: true, calm: false, free: true };
    const CONFIRM: Confirm = Confirm { k: 1, n: 1 };
    const GAP: Duration = Duration::from_secs(60);

    fn rates(seconds: i64, rate: f64) -> Rates {
        let at = Timestamp(seconds * 1_000);
        let brokers = BTreeMap::from([(1, Rate { now: rate, peak: rate })]);
        Rates { brokers, at, newest: at, covered: (1, 1) }
    }

    fn track(samples: &[(i64, f64)]) -> Track {
        let mut track = Track::default();
        for (at, rate) in samples {
            track.push(&rates(*at, *rate), OVER, CONFIRM, GAP);
        }
        track
    }

    #[test]
    fn a_rise_may_be_younger_than_the_sample_before_and_ends_when_the_sensor_is_full() {
        let window = Duration::from_secs(12);
        let rise = |samples: &[(i64, f64)], now: i64| {
            let (at, rate) = samples[samples.len() - 1];
            track(samples).rise(&rates(at, rate), Timestamp(now * 1_000), window)
        };
        assert_eq!(rise(&[(100, 40.0), (115, 40.0)], 120), 0.0, "steady");
        assert_eq!(rise(&[(100, 40.0), (115, 30.0)], 120), 0.0, "falling");
        assert_eq!(rise(&[(100, 40.0), (115, 70.0)], 120), 30.0 * 7.0, "five seconds old, and two to react");
        assert_eq!(rise(&[(100, 40.0), (115, 70.0)], 150), 30.0 * 12.0, "full");
        assert_eq!(rise(&[(115, 70.0)], 115), 70.0 * 2.0, "new");
        assert_eq!(rise(&[(100, 70.0), (161, 70.0)], 161), 70.0 * 2.0, "new after a gap");
    }

    #[test]
    fn a_broker_that_grew_since_the_sample_counts_and_looking_twice_changes_nothing() {
        let track = track(&[(100, 40.0), (115, 40.0)]);
        let mut later = rates(115, 60.0);
        later.newest = Timestamp(118_000);
        for _ in 0..2 {
            assert_eq!(track.rise(&later, Timestamp(119_000), Duration::from_secs(12)), 20.0 * 6.0);
        }
    }

    #[test]
    fn a_sample_is_new_when_all_brokers_were_scraped_since_the_one_before() {
        let confirm = Confirm { k: 64, n: 64 };
        let mut track = Track::default();
        let mut sample = |at: i64, newest: i64| {
            let rates = Rates { newest: Timestamp(newest), ..rates(0, 1.0) };
            track.push(&Rates { at: Timestamp(at), ..rates }, OVER, confirm, GAP);
            track.over_count(confirm)
        };
        assert_eq!(sample(100, 110), 1);
        assert_eq!(sample(105, 115), 1, "the one that was at 100");
        assert_eq!(sample(110, 120), 1, "the one at 110 not yet");
        assert_eq!(sample(111, 120), 2);
        assert_eq!(sample(120, 126), 2);
        assert_eq!(sample(121, 126), 3);
    }
}
