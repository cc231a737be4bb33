//! Alert windows: which pairs of windows are watched and how much of the budget each may burn.

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

/// Windows by period.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// At most one entry per period.
    pub periods: Vec<PeriodWindows>,
}
