//! Windows for periods that no catalogue names.

use super::{AlertWindow, PeriodError, PeriodWindows, WindowPair};
use crate::duration::PromDuration;

/// The longest window is at most this share of a scaled period: 3/7, so that 7 days keep the 3-day window.
const LONGEST: (u64, u64) = (3, 7);

/// A base window is at most this share of the period: 5m of a day.
const BASES_PER_PERIOD: u64 = 288;

/// Base windows for periods too short for the model's, in seconds: divisors of a minute or multiples of it.
const SHORT_BASES: [u64; 8] = [120, 60, 30, 15, 10, 5, 2, 1];

/// How far apart two periods are, as a ratio; only good for comparing.
pub(super) fn distance(one: PromDuration, other: PromDuration) -> u64 {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    // A thousandth is near enough to choose a model.
    high.as_millis().saturating_mul(1_000) / low.as_millis().max(1)
}

/// The model's windows and factors for another period; see `Catalogue::for_period`.
pub(super) fn scaled(model: &PeriodWindows, period: PromDuration) -> Result<PeriodWindows, PeriodError> {
    let base = model.base().as_millis();
    let longest = model.alert_windows().last().map_or(0, |window| window.as_millis());
    let (numerator, denominator) = LONGEST;
    // The shortest period that keeps the windows.
    let keeps = longest.saturating_mul(denominator) / numerator;

    let shrink = if period.as_millis() >= keeps {
        None
    } else {
        let room = period.as_millis() / BASES_PER_PERIOD;
        let base = std::iter::once(base)
            .chain(SHORT_BASES.map(|seconds| seconds * 1_000))
            .find(|candidate| *candidate <= room.min(base))
            .ok_or(PeriodError::TooShort(period, PromDuration::from_secs(BASES_PER_PERIOD)))?;
        Some(Shrink { base, from: keeps, to: period.as_millis() })
    };

    let pair = |window: &AlertWindow| {
        let (short, long) = shrink.map_or((window.short, window.long), |shrink| {
            let short = shrink.apply(window.short);
            let long = shrink.apply(window.long).max(short + shrink.base);
            (PromDuration::from_millis(short), PromDuration::from_millis(long))
        });
        with_factor(window.factor(model.period), short, long, period)
    };
    let tier = |tier: &WindowPair| WindowPair { quick: pair(&tier.quick), slow: pair(&tier.slow) };
    let result = PeriodWindows { period, page: tier(&model.page), ticket: tier(&model.ticket) };
    let fits = result.pairs().iter().all(|(_, pair)| pair.short < pair.long && pair.long <= period);
    if fits { Ok(result) } else { Err(PeriodError::TooShort(period, PromDuration::from_millis(keeps))) }
}

#[derive(Clone, Copy)]
struct Shrink {
    base: u64,
    from: u64,
    to: u64,
}

impl Shrink {
    /// Milliseconds in proportion, rounded to the nearest multiple of the base, at least one.
    fn apply(self, window: PromDuration) -> u64 {
        let exact = u128::from(window.as_millis()) * u128::from(self.to) / u128::from(self.from.max(1));
        let base = u128::from(self.base);
        let count = ((exact + base / 2) / base).max(1);
        u64::try_from(count * base).unwrap_or(u64::MAX)
    }
}

/// The share of the budget that gives a pair this factor. The neighbours of the rounded quotient are tried too, because
/// 14.4 should be printed as 14.4 and not as 14.399999999999999 (for odd periods no share gives exactly that).
fn with_factor(factor: f64, short: PromDuration, long: PromDuration, period: PromDuration) -> AlertWindow {
    let share = factor * long.as_hours_f64() * 100.0 / period.as_hours_f64();
    let window = |error_budget_percent| AlertWindow { error_budget_percent, short, long };
    let mut below = share;
    let mut above = share;
    for _ in 0..8 {
        for candidate in [below, above] {
            if window(candidate).factor(period).to_bits() == factor.to_bits() {
                return window(candidate);
            }
        }
        below = below.next_down();
        above = above.next_up();
    }
    window(share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::window::Catalogue;

    fn built_in(period: &str) -> Vec<String> {
        let period = PromDuration::parse(period).unwrap();
        let entry = Catalogue::built_in().for_period(period, true).unwrap();
        entry.pairs().iter().map(|(_, pair)| format!("{}/{}", pair.short, pair.long)).collect()
    }

    #[test]
    fn a_week_and_more_keep_the_windows() {
        for period in ["7d", "10d", "29d", "31d", "90d", "1y"] {
            assert_eq!(built_in(period), ["5m/1h", "30m/6h", "2h/1d", "6h/3d"], "{period}");
        }
    }

    #[test]
    fn shorter_periods_shrink_them() {
        assert_eq!(built_in("3d"), ["5m/25m", "15m/2h35m", "50m/10h15m", "2h35m/1d6h50m"]);
        assert_eq!(built_in("1d"), ["5m/10m", "5m/50m", "15m/3h25m", "50m/10h15m"]);
        assert_eq!(built_in("1h"), ["10s/20s", "10s/2m10s", "40s/8m30s", "2m10s/25m40s"]);
    }

    #[test]
    fn what_is_in_the_catalogue_is_not_scaled() {
        let catalogue = Catalogue::built_in();
        for entry in &catalogue.periods {
            assert_eq!(catalogue.for_period(entry.period, true).as_ref(), Ok(entry));
            assert_eq!(catalogue.for_period(entry.period, false).as_ref(), Ok(entry));
        }
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        let catalogue = Catalogue::built_in();
        let week = PromDuration::from_days(7);
        let refused = catalogue.for_period(week, false).unwrap_err();
        assert_eq!(refused.to_string(), "the 1w SLO period time window is not supported");
        assert_eq!(Catalogue::default().for_period(week, true), Err(PeriodError::Empty));
        let minute = PromDuration::from_secs(60);
        let refused = catalogue.for_period(minute, true).unwrap_err();
        assert_eq!(refused.to_string(), "the SLO period 1m is too short: it must be at least 4m48s");
    }

    #[test]
    fn a_catalogue_without_a_month_scales_its_nearest_entry() {
        let mut entry = Catalogue::built_in().periods[1];
        entry.period = PromDuration::from_days(90);
        let catalogue = Catalogue { periods: vec![Catalogue::built_in().periods[1], entry] };
        let scaled = catalogue.for_period(PromDuration::from_days(60), true).unwrap();
        assert_eq!(scaled.page.quick.factor(scaled.period), entry.page.quick.factor(entry.period));
    }

    proptest! {
        #[test]
        fn scaled_windows_are_sound(seconds in 288_u64..=400 * 86_400) {
            let period = PromDuration::from_secs(seconds);
            let model = Catalogue::built_in().periods[0];
            let entry = Catalogue::built_in().for_period(period, true).unwrap();
            prop_assert_eq!(entry.period, period);
            prop_assert!(entry.check().is_ok());
            let pairs = entry.pairs();
            for (index, (_, pair)) in pairs.iter().enumerate() {
                prop_assert!(pair.short < pair.long);
                prop_assert!(pair.long <= period);
                prop_assert_eq!(pair.short.as_millis() % entry.base().as_millis(), 0);
                prop_assert_eq!(pair.long.as_millis() % entry.base().as_millis(), 0);
                prop_assert!(pair.error_budget_percent > 0.0 && pair.error_budget_percent <= 100.0);
                let expected = model.pairs()[index].1.factor(model.period);
                prop_assert!((pair.factor(period) / expected - 1.0).abs() < 1e-12);
                if let Some((_, next)) = pairs.get(index + 1) {
                    prop_assert!(pair.short <= next.short && pair.long <= next.long);
                }
            }
        }
    }
}
