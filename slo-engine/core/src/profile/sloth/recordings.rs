//! The error ratio of every window.

use super::{RulesError, names};
use crate::duration::PromDuration;
use crate::rule::{Rule, RuleKind};
use crate::slo::{Sli, Slo};
use crate::template::Template;
use crate::window::PeriodWindows;

pub(super) fn rules(slo: &Slo, windows: &PeriodWindows) -> Result<Vec<Rule>, RulesError> {
    let template = Template::parse(&ratio_template(&slo.sli))?;
    let mut all = windows.alert_windows();
    // The period comes last even when an alert window is just as long: then there are two equal rules.
    all.push(slo.period);
    all.into_iter()
        .map(|window| {
            let expr = if window == slo.period {
                mean_of_base_ratios(slo, windows)?
            } else {
                template.render(&window.to_string())
            };
            Ok(ratio_rule(slo, window, expr))
        })
        .collect()
}

/// The user's queries put together; still with the window to fill in.
fn ratio_template(sli: &Sli) -> String {
    match sli {
        Sli::Events { error, total } => format!("({})\n/\n({})\n", error.0, total.0),
        Sli::Raw { error_ratio } => format!("({})", error_ratio.0),
        Sli::GoodTotal { good, total } => {
            let (good, total) = (&good.0, &total.0);
            format!("(\n  1 - (\n    (\n      {good}\n    )\n    /\n    (\n      {total}\n    )\n  )\n)")
        }
    }
}

/// The mean over the period of the ratios of the base window: cheap, and weighted by time instead of events.
fn mean_of_base_ratios(slo: &Slo, windows: &PeriodWindows) -> Result<String, RulesError> {
    let (base, period) = (windows.base(), slo.period);
    if base == period {
        return Err(RulesError::PeriodIsShortWindow(period));
    }
    let series = format!("{}{}", names::error_ratio(base), names::id_selector(slo));
    Ok(format!(
        "sum_over_time({series}[{period}])\n/ ignoring ({})\ncount_over_time({series}[{period}])\n",
        names::WINDOW
    ))
}

fn ratio_rule(slo: &Slo, window: PromDuration, expr: String) -> Rule {
    let mut labels = names::id_labels(slo);
    labels.insert(names::WINDOW.to_owned(), window.to_string());
    // The user's labels win, even over the identity; expressions keep selecting by the original.
    labels.extend(slo.labels.clone());
    Rule {
        kind: RuleKind::Record,
        name: names::error_ratio(window),
        expr,
        hold: None,
        labels,
        annotations: std::collections::BTreeMap::new(),
    }
}
