//! Alert windows: which pairs of windows are watched and how much of the budget each may burn.

mod catalogue;
mod scale;

pub use catalogue::{Catalogue, PeriodError};

use crate::duration::PromDuration;

/// One short/long pair with the share of the error budget it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlertWindow {
    /// Percent of the error budget of the whole period.
    pub error_budget_percent: f64,
    /// Resets the alert soon after the burning stops.
    pub short: PromDuration,
    /// Decides that enough budget is gone.
    pub long: PromDuration,
}

impl AlertWindow {
    /// How many times faster than allowed the budget must burn for this share of it to be gone after the long window.
    ///
    /// Sloth's formula in Sloth's order of operations, because every rounding shows in the rules:
    /// `(percent * period hours / 100) / long window hours`.
    #[must_use]
    pub fn factor(&self, period: PromDuration) -> f64 {
        self.error_budget_percent * period.as_hours_f64() / 100.0 / self.long.as_hours_f64()
    }

    fn check(&self) -> Result<(), WindowError> {
        if self.long.is_zero() {
            return Err(WindowError::NoLong);
        }
        if self.short.is_zero() {
            return Err(WindowError::NoShort);
        }
        if self.error_budget_percent == 0.0 {
            return Err(WindowError::NoBudget);
        }
        Ok(())
    }
}

/// The quick and the slow pair of a tier; either fires it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowPair {
    /// Catches fast burning.
    pub quick: AlertWindow,
    /// Catches slower burning.
    pub slow: AlertWindow,
}

/// All windows of one period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeriodWindows {
    /// Length of the error budget period.
    pub period: PromDuration,
    /// Page windows.
    pub page: WindowPair,
    /// Ticket windows.
    pub ticket: WindowPair,
}

/// What makes an entry of a catalogue unusable. The sentences are Sloth's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// The period is missing or zero.
    #[error("slo period is required")]
    NoPeriod,
    /// A long window is missing or zero.
    #[error("long window is required")]
    NoLong,
    /// A short window is missing or zero.
    #[error("short window is required")]
    NoShort,
    /// The percentage is missing or zero.
    #[error("error budget is required")]
    NoBudget,
}

impl PeriodWindows {
    /// The four pairs with the names that catalogues give them, in the order in which Sloth checks them.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, AlertWindow); 4] {
        [
            ("page quick", self.page.quick),
            ("page slow", self.page.slow),
            ("ticket quick", self.ticket.quick),
            ("ticket slow", self.ticket.slow),
        ]
    }

    /// The window from which everything else is built: the short window of the quick page pair.
    #[must_use]
    pub fn base(&self) -> PromDuration {
        self.page.quick.short
    }

    /// The windows of the alerts, shortest first, each once. The period is not among them unless an alert looks at it.
    #[must_use]
    pub fn alert_windows(&self) -> Vec<PromDuration> {
        let mut windows: Vec<PromDuration> =
            self.pairs().into_iter().flat_map(|(_, pair)| [pair.short, pair.long]).collect();
        windows.sort_unstable();
        windows.dedup();
        windows
    }

    /// Sloth's checks of a catalogue entry.
    ///
    /// # Errors
    /// The first thing that is wrong and, when it concerns one pair, which.
    pub fn check(&self) -> Result<(), (Option<&'static str>, WindowError)> {
        if self.period.is_zero() {
            return Err((None, WindowError::NoPeriod));
        }
        for (name, pair) in self.pairs() {
            pair.check().map_err(|error| (Some(name), error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::general;

    fn printed_factors(entry: &PeriodWindows) -> [String; 4] {
        entry.pairs().map(|(_, pair)| general(pair.factor(entry.period)))
    }

    #[test]
    fn factors_are_sloths() {
        let catalogue = Catalogue::built_in();
        let by_days = |days| {
            catalogue.periods.iter().find(|entry| entry.period == PromDuration::from_days(days)).unwrap()
        };
        assert_eq!(printed_factors(by_days(30)), ["14.4", "6", "3", "1"]);
        assert_eq!(
            printed_factors(by_days(28)),
            ["13.44", "5.6000000000000005", "2.8000000000000003", "0.9333333333333333"]
        );
    }

    #[test]
    fn factors_of_sloths_week_example() {
        let mut week = Catalogue::built_in().periods[0];
        week.period = PromDuration::from_days(7);
        week.page.quick.error_budget_percent = 8.0;
        week.page.slow.error_budget_percent = 12.5;
        week.ticket.quick.error_budget_percent = 20.0;
        week.ticket.slow.error_budget_percent = 42.0;
        assert_eq!(printed_factors(&week), ["13.44", "3.5", "1.4000000000000001", "0.98"]);
    }

    #[test]
    fn says_which_pair_is_incomplete() {
        let mut entry = Catalogue::built_in().periods[0];
        assert_eq!(entry.check(), Ok(()));
        entry.ticket.quick.short = PromDuration::from_secs(0);
        assert_eq!(entry.check(), Err((Some("ticket quick"), WindowError::NoShort)));
        entry.page.slow.long = PromDuration::from_secs(0);
        assert_eq!(entry.check(), Err((Some("page slow"), WindowError::NoLong)));
        entry.page.quick.error_budget_percent = 0.0;
        assert_eq!(entry.check(), Err((Some("page quick"), WindowError::NoBudget)));
        entry.period = PromDuration::from_secs(0);
        assert_eq!(entry.check(), Err((None, WindowError::NoPeriod)));
    }

    #[test]
    fn alert_windows_come_sorted_and_once() {
        let entry = Catalogue::built_in().periods[0];
        let printed: Vec<String> = entry.alert_windows().iter().map(PromDuration::to_string).collect();
        assert_eq!(printed, ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]);
    }
}
