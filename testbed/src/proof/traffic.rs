//! Simulated events: what every target served in every second, and what its scrapes showed of it.

use super::promtool::Series;

/// A small deterministic generator (splitmix64): the same seed gives the same table on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between 0 and 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub const fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// An integer in `[low, high)`; `low` when the range is empty.
    pub const fn index(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.bits() % (high - low) }
    }
}

/// Events of one target, cumulated by second since its birth (index = second; never reset).
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Good events up to and including each second.
    pub good: Vec<u64>,
    /// Bad events.
    pub bad: Vec<u64>,
    /// Scraped at `phase + k * scrape`.
    pub phase: u64,
    /// No scrape succeeds in `[from, to)`.
    pub gaps: Vec<(u64, u64)>,
    /// What its counters stood at before the first second.
    pub started: u64,
    /// Seconds at which its counters start from zero again.
    pub resets: Vec<u64>,
}

/// What is asked of the simulation: events per second and error ratio of target `index` at a second.
pub trait Shape {
    /// Events per second, and share of errors.
    fn at(&self, target: usize, second: u64) -> (f64, f64);
}

impl<F: Fn(usize, u64) -> (f64, f64)> Shape for F {
    fn at(&self, target: usize, second: u64) -> (f64, f64) {
        self(target, second)
    }
}

/// Simulates `seconds` of a target.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are small and not negative"
)]
pub fn simulate(shape: &dyn Shape, index: usize, seconds: u64, phase: u64, random: &mut Random) -> Target {
    let mut target = Target { phase, ..Target::default() };
    let (mut good, mut bad) = (0_u64, 0_u64);
    for second in 0..=seconds {
        let (rate, ratio) = shape.at(index, second);
        // Rounded at random, so that small rates are right on average.
        bad += (rate * ratio + random.unit()).max(0.0) as u64;
        good += (rate * (1.0 - ratio) + random.unit()).max(0.0) as u64;
        target.good.push(good);
        target.bad.push(bad);
    }
    target
}

impl Target {
    /// The last instant at or before `second` at which this target is to be scraped, whether or not that succeeds.
    #[must_use]
    pub const fn nominal(&self, second: u64, scrape: u64) -> Option<u64> {
        if second < self.phase { None } else { Some(second - (second - self.phase) % scrape) }
    }

    /// Good and bad events that happened in the window before the last scrape instant at or before `second`: all that
    /// scraping can know of the window.
    #[must_use]
    pub fn truth(&self, second: u64, window: u64, scrape: u64) -> (u64, u64) {
        let Some(end) = self.nominal(second, scrape) else { return (0, 0) };
        let start = end.saturating_sub(window).max(self.phase);
        let of = |list: &[u64]| at(list, end).saturating_sub(at(list, start));
        (of(&self.good), of(&self.bad))
    }

    /// The scraped counters of this target in promtool's notation, one value per second.
    #[must_use]
    pub fn series(&self, name: &str, scrape: u64) -> [Series; 2] {
        let one = |code: &str, list: &[u64]| Series {
            name: format!(r#"http_requests_total{{job="shop",instance="{name}",code="{code}"}}"#),
            values: self.values(list, scrape),
        };
        [one("200", &self.good), one("500", &self.bad)]
    }

    fn values(&self, list: &[u64], scrape: u64) -> String {
        let mut text = String::new();
        let mut missing = self.phase;
        let mut second = self.phase;
        while second < list.len() as u64 {
            if self.gaps.iter().any(|(from, to)| (*from..*to).contains(&second)) {
                missing += scrape;
            } else {
                push_missing(&mut text, missing);
                let reset = self.resets.iter().rev().find(|reset| **reset <= second);
                let count = at(list, second);
                let shown =
                    reset.map_or(count + self.started, |reset| count.saturating_sub(at(list, *reset)));
                text.push_str(&format!("{shown} "));
                missing = scrape - 1;
            }
            second += scrape;
        }
        text
    }
}

fn push_missing(text: &mut String, count: u64) {
    if count > 0 {
        text.push_str(&format!("_x{count} "));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seconds of a few days")]
fn at(list: &[u64], second: u64) -> u64 {
    list.get(second as usize).or(list.last()).copied().unwrap_or_default()
}

/// Good and bad events of all targets, as [`Target::truth`].
#[must_use]
pub fn truth(targets: &[Target], second: u64, window: u64, scrape: u64) -> (u64, u64) {
    targets
        .iter()
        .map(|target| target.truth(second, window, scrape))
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation_has_one_value_per_second_and_skips_gaps() {
        let mut target = simulate(&|_, _| (1.0, 0.0), 0, 12, 1, &mut Random::new(1));
        target.good = (0..=12).collect();
        target.gaps = vec![(4, 6)];
        target.resets = vec![8];
        let [good, _] = target.series("a", 3);
        assert_eq!(good.values, "_x1 1 _x5 7 _x2 2 ");
        assert_eq!(target.truth(12, 6, 3), (6, target.bad[10] - target.bad[4]));
    }
}
