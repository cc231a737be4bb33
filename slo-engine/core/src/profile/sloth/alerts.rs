//! The page and the ticket alert.

use super::names;
use crate::number::general;
use crate::rule::{Rule, RuleKind};
use crate::slo::{AlertMeta, Slo};
use crate::window::{AlertWindow, PeriodWindows, WindowPair};

pub(super) fn rules(slo: &Slo, windows: &PeriodWindows) -> Vec<Rule> {
    let tiers = [("page", &slo.page, &windows.page), ("ticket", &slo.ticket, &windows.ticket)];
    tiers
        .into_iter()
        .filter_map(|(severity, meta, pair)| Some(rule(slo, windows, severity, meta.as_ref()?, pair)))
        .collect()
}

fn rule(slo: &Slo, windows: &PeriodWindows, severity: &str, meta: &AlertMeta, pair: &WindowPair) -> Rule {
    let selector = names::id_selector(slo);
    // Not the same float as 1 - objective/100, which the metadata use.
    let budget = general((100.0 - slo.objective) / 100.0);
    let both = |window: &AlertWindow| {
        let factor = general(window.factor(windows.period));
        let above = |window| {
            let ratio = names::error_ratio(window);
            format!("max({ratio}{selector} > ({factor} * {budget})) without ({})", names::WINDOW)
        };
        format!("(\n    {}\n    and\n    {}\n)\n", above(window.short), above(window.long))
    };
    let expr = format!("{}or\n{}", both(&pair.quick), both(&pair.slow));

    // No SLO labels: an alert inherits them from the series it looks at.
    let mut labels = std::collections::BTreeMap::from([(names::SEVERITY.to_owned(), severity.to_owned())]);
    labels.extend(meta.labels.clone());
    let about = format!(
        "{{{{$labels.{}}}}} {{{{$labels.{}}}}} SLO error budget burn rate",
        names::SERVICE,
        names::SLO
    );
    let mut annotations = std::collections::BTreeMap::from([
        ("title".to_owned(), format!("({severity}) {about} is too fast.")),
        ("summary".to_owned(), format!("{about} is over expected.")),
    ]);
    annotations.extend(meta.annotations.clone());
    Rule { kind: RuleKind::Alert, name: meta.name.clone(), expr, hold: None, labels, annotations }
}
