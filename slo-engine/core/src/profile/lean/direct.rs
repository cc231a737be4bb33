//! Windows of a query that cannot be counted: the query itself over each window, as Sloth does, but never NaN or infinite.

use super::{DIRECT, Plan, record};
use crate::PromDuration;
use crate::promql::{absence_is_zero, with_window, wrap};
use crate::rule::Rule;
use crate::slo::{NoData, Query, Sli};

/// Matches a user's series with the recorded total.
const IDENTITY: &str = "ignoring(sloth_id,sloth_service,sloth_slo,sloth_window)";

/// The total of one window, recorded so that it is read once and not three times.
pub(super) fn total(plan: &Plan<'_>, window: PromDuration) -> Option<Rule> {
    let (Sli::Events { total, .. } | Sli::GoodTotal { total, .. }) = &plan.slo.sli else { return None };
    let mut labels = plan.identity();
    labels.insert("sloth_window".to_owned(), window.to_string());
    Some(record(DIRECT.to_owned(), format!("{} >= 0 < Inf", render(total, window)), labels))
}

/// The error ratio of one window.
pub(super) fn ratio(plan: &Plan<'_>, window: PromDuration) -> String {
    let total = plan.series(DIRECT, &format!("sloth_window=\"{window}\""));
    let no_data = plan.slo.own.no_data;
    // The total's window label must not reach the records.
    let idle = match no_data {
        NoData::Ignore => String::new(),
        NoData::Good => format!(" or {IDENTITY} 0 * sum without(sloth_window) ({total} == 0)"),
        NoData::Bad => format!(" or {IDENTITY} 0 * sum without(sloth_window) ({total} == 0) + 1"),
    };
    match &plan.slo.sli {
        Sli::Events { error, .. } => {
            let zero =
                if absence_is_zero(&error.0) { format!(" or {IDENTITY} 0 * {total}") } else { String::new() };
            format!("clamp_min({}{zero}, 0) / {IDENTITY} ({total} > 0) < Inf{idle}", render(error, window))
        }
        Sli::GoodTotal { good, .. } => format!(
            "clamp_min(1 - ({} or {IDENTITY} 0 * {total}) / {IDENTITY} ({total} > 0), 0) < Inf{idle}",
            render(good, window)
        ),
        Sli::Raw { error_ratio } => {
            let q = render(error_ratio, window);
            // `q != bool q` is 1 for NaN alone.
            let idle = match no_data {
                NoData::Ignore => String::new(),
                NoData::Good => format!(" or 0 * ({q} != bool {q} > 0)"),
                NoData::Bad => format!(" or {q} != bool {q} > 0"),
            };
            format!("{q} >= 0 < Inf{idle}")
        }
    }
}

/// One where the window was seen to hold no events and nothing is said about it: that is observed, unlike a missing target.
pub(super) fn idle(plan: &Plan<'_>, window: PromDuration) -> Option<String> {
    if plan.slo.own.no_data != NoData::Ignore {
        return None;
    }
    Some(if let Sli::Raw { error_ratio } = &plan.slo.sli {
        let q = render(error_ratio, window);
        format!("({q} != bool {q} > 0)")
    } else {
        let total = plan.series(DIRECT, &format!("sloth_window=\"{window}\""));
        format!("sum without(sloth_window) ({total} == bool 0 > 0)")
    })
}

fn render(query: &Query, window: PromDuration) -> String {
    wrap(&with_window(&query.0, window))
}
