//! The catalogues: built in, or read from the user's files.

use super::{AlertWindow, PeriodWindows, WindowPair, scale};
use crate::duration::PromDuration;

/// Windows by period.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// At most one entry per period.
    pub periods: Vec<PeriodWindows>,
}

/// Why there are no windows for a period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// The catalogue has no entry and scaling was not asked for.
    #[error("the {0} SLO period time window is not supported")]
    NotInCatalogue(PromDuration),
    /// There is nothing to scale.
    #[error("the catalogue of alert windows is empty")]
    Empty,
    /// So short that the windows fall together.
    #[error("the SLO period {0} is too short: it must be at least {1}")]
    TooShort(PromDuration, PromDuration),
}

impl Catalogue {
    /// The catalogue that applies unless the user names another: 30 and 28 days, with the shares of the budget that the
    /// Site Reliability Workbook (chapter 5) proposes, as in Sloth.
    #[must_use]
    pub fn built_in() -> Self {
        Self { periods: vec![of_days(30), of_days(28)] }
    }

    /// The windows of a period: the catalogue's own entry, or, with `scale`, one scaled from the entry for 30 days (from
    /// the entry whose period is nearest when the user's catalogue has none for 30 days).
    ///
    /// How a period is scaled, so that an alert means the same in every one:
    /// - The **factors stay** (14.4, 6, 3, 1): an alert fires at the same burn rate, whatever the period. What changes is
    ///   the share of the budget that is gone by then, and that is what `error_budget_percent` of the result says.
    /// - Periods of at least 7/3 of the longest window (7 days for the built-in entries) keep the **windows** too.
    /// - Shorter periods shrink the windows in proportion, so that the longest is 3/7 of the period, rounded to multiples
    ///   of the base window. The base itself (5m) shrinks only for periods below a day, to one of 2m, 1m, 30s, 15s, 10s,
    ///   5s, 2s, 1s.
    ///
    /// # Errors
    /// [`PeriodError`] if the period is not in the catalogue and `scale` is false, or cannot be scaled.
    ///
    /// ```
    /// use slo_engine_core::{Catalogue, PromDuration};
    /// let week = Catalogue::built_in().for_period(PromDuration::from_days(7), true).unwrap();
    /// assert_eq!(week.page.quick.long.to_string(), "1h");
    /// assert_eq!(week.page.quick.factor(week.period), 14.4);
    /// ```
    pub fn for_period(&self, period: PromDuration, scale: bool) -> Result<PeriodWindows, PeriodError> {
        if let Some(entry) = self.periods.iter().find(|entry| entry.period == period) {
            return Ok(*entry);
        }
        if !scale {
            return Err(PeriodError::NotInCatalogue(period));
        }
        let month = PromDuration::from_days(30);
        let model = self
            .periods
            .iter()
            .find(|entry| entry.period == month)
            .or_else(|| self.periods.iter().min_by_key(|entry| scale::distance(entry.period, period)))
            .ok_or(PeriodError::Empty)?;
        scale::scaled(model, period)
    }
}

fn of_days(days: u64) -> PeriodWindows {
    let minutes = |m: u64| PromDuration::from_secs(m * 60);
    let window = |error_budget_percent, short, long| AlertWindow { error_budget_percent, short, long };
    PeriodWindows {
        period: PromDuration::from_days(days),
        page: WindowPair {
            quick: window(2.0, minutes(5), minutes(60)),
            slow: window(5.0, minutes(30), minutes(6 * 60)),
        },
        ticket: WindowPair {
            quick: window(10.0, minutes(2 * 60), minutes(24 * 60)),
            slow: window(10.0, minutes(6 * 60), minutes(3 * 24 * 60)),
        },
    }
}
