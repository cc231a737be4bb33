//! What an SLO's alerts mean in time and events, and what its rules cost.

mod cost;

pub use cost::{Cost, cost};

use crate::PromDuration;
use crate::slo::Slo;
use crate::window::{AlertWindow, PeriodWindows};

/// Error rates for which detection is shown: everything fails, one in ten, one in a hundred.
pub const ERROR_RATES: [f64; 3] = [1.0, 0.1, 0.01];

/// The error budget of one period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Share of events that may be bad, `0..1`.
    pub ratio: f64,
    /// Seconds of total outage that spend it.
    pub seconds: f64,
    /// Bad events that spend it, when the traffic is known.
    pub events: Option<f64>,
}

/// The error budget of an SLO; `events_per_day` is its traffic, when known.
#[must_use]
pub fn budget(slo: &Slo, events_per_day: Option<f64>) -> Budget {
    let ratio = (100.0 - slo.objective) / 100.0;
    let days = slo.period.as_secs_f64() / 86_400.0;
    Budget {
        ratio,
        seconds: ratio * slo.period.as_secs_f64(),
        events: events_per_day.map(|events| events * days * ratio),
    }
}

/// One pair of windows, in words a reader can check.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// `page quick` and so on.
    pub name: &'static str,
    /// Its windows.
    pub windows: AlertWindow,
    /// How many times faster than allowed the budget burns when it fires.
    pub factor: f64,
    /// Error ratio above which it fires.
    pub threshold: f64,
    /// For each of [`ERROR_RATES`].
    pub detection: [Detection; 3],
}

/// When a pair fires after errors begin, and when it resets after they end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Detection {
    /// The error rate does not exceed the threshold: never.
    Never,
    /// It does.
    After {
        /// Seconds from the first error to the alert.
        fires: f64,
        /// Seconds from the last error to the end of the alert.
        resets: f64,
        /// Share of the period's budget that is gone when it fires.
        budget: f64,
    },
}

/// When a pair fires and resets at a constant error rate (`0..=1`) that begins in a clean state.
///
/// After `t` seconds of errors at rate `e`, a window of `w` seconds has the ratio `e * t / w`. It exceeds the threshold
/// `factor * budget` after
///
/// ```text
/// t = w * factor * budget / e          if t <= w, otherwise never
/// ```
///
/// Both windows must exceed it; the long one is last. `r` seconds after the errors end, the short window still holds
/// `short - r` seconds of them, so the pair resets after `short * (1 - factor * budget / e)`.
///
/// Source: "Detection time" in chapter 5, "Alerting on SLOs", of Google's Site Reliability Workbook:
/// `(1 - SLO) / error ratio * alerting window size * burn rate`.
#[must_use]
pub fn detection(
    windows: &AlertWindow,
    period: PromDuration,
    budget_ratio: f64,
    error_rate: f64,
) -> Detection {
    let threshold = windows.factor(period) * budget_ratio;
    if error_rate <= threshold {
        return Detection::Never;
    }
    let share = threshold / error_rate;
    let (short, long) = (windows.short.as_secs_f64(), windows.long.as_secs_f64());
    let fires = long.max(short) * share;
    let spent =
        if budget_ratio > 0.0 { error_rate * fires / (budget_ratio * period.as_secs_f64()) } else { 1.0 };
    // The long window may let go first when it is the shorter one.
    Detection::After { fires, resets: short.min(long) * (1.0 - share), budget: spent }
}

/// All pairs of an SLO with their thresholds and detection times.
#[must_use]
pub fn pairs(slo: &Slo, windows: &PeriodWindows) -> Vec<Pair> {
    let budget = budget(slo, None).ratio;
    let tiers = [slo.page.is_some(), slo.page.is_some(), slo.ticket.is_some(), slo.ticket.is_some()];
    let pairs = windows.pairs().into_iter().zip(tiers).filter(|(_, enabled)| *enabled);
    pairs
        .map(|((name, pair), _)| {
            let factor = pair.factor(windows.period);
            Pair {
                name,
                windows: pair,
                factor,
                threshold: factor * budget,
                detection: ERROR_RATES.map(|rate| detection(&pair, windows.period, budget, rate)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
