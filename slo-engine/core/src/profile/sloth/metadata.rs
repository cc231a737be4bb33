//! Objective, budget, burn rates and the info metric.

use std::collections::BTreeMap;

use super::{Options, names};
use crate::number::{general, plain};
use crate::rule::{Rule, RuleKind};
use crate::slo::Slo;
use crate::window::PeriodWindows;

pub(super) fn rules(slo: &Slo, windows: &PeriodWindows, options: &Options) -> Vec<Rule> {
    let mut labels = names::id_labels(slo);
    labels.extend(slo.labels.clone());
    let selector = names::id_selector(slo);
    // Not the same float as 1 - budget: alerts use (100 - objective) / 100.
    let objective = general(slo.objective / 100.0);
    let burn_rate = |window| {
        format!(
            "{}{selector}\n/ on({}, {}, {}) group_left\n{}{selector}\n",
            names::error_ratio(window),
            names::ID,
            names::SLO,
            names::SERVICE,
            names::ERROR_BUDGET_RATIO
        )
    };
    let record = |name: &str, expr: String| Rule {
        kind: RuleKind::Record,
        name: name.to_owned(),
        expr,
        hold: None,
        labels: labels.clone(),
        annotations: BTreeMap::new(),
    };

    let mut info = record(names::INFO, "vector(1)".to_owned());
    info.labels.extend(info_labels(slo, options));
    vec![
        record(names::OBJECTIVE_RATIO, format!("vector({objective})")),
        record(names::ERROR_BUDGET_RATIO, format!("vector(1-{objective})")),
        record(names::PERIOD_DAYS, format!("vector({})", general(slo.period.as_hours_f64() / 24.0))),
        record(names::CURRENT_BURN_RATE, burn_rate(windows.base())),
        record(names::PERIOD_BURN_RATE, burn_rate(slo.period)),
        record(names::BUDGET_REMAINING, format!("1 - {}{selector}", names::PERIOD_BURN_RATE)),
        info,
    ]
}

/// The labels that only the info metric has; here they win over the user's.
fn info_labels(slo: &Slo, options: &Options) -> [(String, String); 4] {
    [
        (names::VERSION, options.version.clone()),
        (names::MODE, names::mode(slo.spec).to_owned()),
        (names::SPEC, names::spec(slo.spec).to_owned()),
        (names::OBJECTIVE, plain(slo.objective)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
}
