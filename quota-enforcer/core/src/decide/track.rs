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
    /// By how much that grew per second since the sample before; unknown with one sample.
    slope: Option<f64>,
}

/// From a decision until a quota is live.
const REACTION: Duration = Duration::from_secs(1);

impl Track {
    /// By how much the sensor on the busiest broker may have grown by the time a write takes effect, in the key's unit.
    /// With one sample, a sensor that began to fill one second before it was scraped is assumed.
    pub(super) fn rise(&mut self, rates: &Rates, now: Timestamp) -> f64 {
        let worst = rates.worst();
        if rates.at > self.last {
            let since = rates.at.since(self.last).as_secs_f64();
            let known = self.last > Timestamp::default();
            self.slope = known.then(|| ((worst - self.worst) / since).max(0.0));
            self.worst = worst;
        }
        let ahead = (now.since(rates.at) + REACTION).as_secs_f64();
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
