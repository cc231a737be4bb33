//! Page, ticket, and the alert that says that there is nothing to alert on.

use std::collections::BTreeMap;

use super::plan::Counting;
use super::{Plan, WINDOW, ratio_record};
use crate::PromDuration;
use crate::rule::{Rule, RuleKind};
use crate::slo::AlertMeta;
use crate::window::{AlertWindow, WindowPair};

/// Name of the alert for missing data.
pub(super) const MISSING: &str = "SLOMissingData";

/// The page alert, if enabled.
pub(super) fn page(plan: &Plan<'_>) -> Option<Rule> {
    plan.slo.page.as_ref().map(|meta| burn_alert(plan, meta, &plan.windows.page, "page"))
}

/// The ticket alert, if enabled.
pub(super) fn ticket(plan: &Plan<'_>) -> Option<Rule> {
    plan.slo.ticket.as_ref().map(|meta| burn_alert(plan, meta, &plan.windows.ticket, "ticket"))
}

fn burn_alert(plan: &Plan<'_>, meta: &AlertMeta, pairs: &WindowPair, severity: &str) -> Rule {
    let mut labels = meta.labels.clone();
    labels.insert("sloth_severity".to_owned(), severity.to_owned());
    let what = "{{$labels.sloth_service}} {{$labels.sloth_slo}}";
    let mut annotations = BTreeMap::from([
        ("title".to_owned(), format!("({severity}) {what} SLO error budget burn rate is too fast.")),
        ("summary".to_owned(), format!("{what} SLO error budget burn rate is over expected.")),
        ("burning_windows".to_owned(), format!("{}{}", which(plan, pairs.quick), which(plan, pairs.slow))),
    ]);
    annotations.extend(links(plan));
    annotations.extend(meta.annotations.clone());
    let expr = format!("(\n{}\n)\nor\n(\n{}\n)\n", condition(plan, pairs.quick), condition(plan, pairs.slow));
    Rule { kind: RuleKind::Alert, name: meta.name.clone(), expr, hold: None, labels, annotations }
}

/// Owner, runbook and dashboard, where known.
fn links(plan: &Plan<'_>) -> BTreeMap<String, String> {
    let dashboard = plan.options.dashboard_url.as_ref().map(|url| {
        url.replace("{service}", &plan.slo.service)
            .replace("{slo}", &plan.slo.name)
            .replace("{id}", &plan.slo.id)
    });
    [
        ("dashboard_url", dashboard),
        ("owner", plan.slo.own.owner.clone()),
        ("runbook_url", plan.slo.own.runbook_url.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)))
    .collect()
}

/// Burn rate factor of a pair times the budget; 0 without a budget, so that any error counts.
fn threshold(plan: &Plan<'_>, pair: AlertWindow) -> String {
    let factor = factor(plan, pair);
    if plan.slo.objective >= 100.0 {
        return "0".to_owned();
    }
    format!("({factor} * {})", (100.0 - plan.slo.objective) / 100.0)
}

fn factor(plan: &Plan<'_>, pair: AlertWindow) -> f64 {
    pair.error_budget_percent * plan.windows.period.as_hours_f64() / 100.0 / pair.long.as_hours_f64()
}

fn condition(plan: &Plan<'_>, pair: AlertWindow) -> String {
    let threshold = threshold(plan, pair);
    let identity = plan.identity();
    let over = |window: PromDuration| {
        format!("    max({} > {threshold}) without (sloth_window)", plan.series(&ratio_record(window), ""))
    };
    let mut text = format!("{}\n    and\n{}", over(pair.short), over(pair.long));
    if let Some(least) = plan.slo.own.min_events.filter(|_| plan.counting != Counting::Direct) {
        let labels = plan.all_labels();
        let extra: Vec<&str> =
            labels.keys().map(String::as_str).filter(|name| !identity.contains_key(*name)).collect();
        let comma = if extra.is_empty() { "" } else { "," };
        let event = if plan.counts_idle() { "observed" } else { "total" };
        let total = if pair.long == plan.base {
            plan.increase_of(event)
        } else {
            plan.series(WINDOW, &format!("sloth_window=\"{}\",sloth_event=\"{event}\"", pair.long))
        };
        text.push_str(&format!(
            "\n    and ignoring(sloth_event,sloth_window{comma}{})\n    {total} >= {least}",
            extra.join(",")
        ));
    }
    text
}

/// A template that names the pair if it burns now.
fn which(plan: &Plan<'_>, pair: AlertWindow) -> String {
    let threshold = threshold(plan, pair);
    let series = |window| format!("{}{{sloth_id='{}'}} > {threshold}", ratio_record(window), plan.slo.id);
    format!(
        "{{{{ if query \"{} and ignoring(sloth_window) {}\" }}}}[{} and {} over {}x]{{{{ end }}}}",
        series(pair.short),
        series(pair.long),
        pair.short,
        pair.long,
        factor(plan, pair),
    )
}

/// Fires when nothing was counted for a quarter of an hour (three base windows if longer), unless both alerts are disabled.
pub(super) fn missing_data(plan: &Plan<'_>) -> Option<Rule> {
    let meta = plan.slo.ticket.as_ref().or(plan.slo.page.as_ref())?;
    let hold = PromDuration::from_millis((plan.base.as_millis() * 3).max(900_000));
    let mut labels = plan.slo.labels.clone();
    labels.extend(meta.labels.clone());
    labels.extend(plan.identity());
    labels.insert("sloth_severity".to_owned(), "ticket".to_owned());
    let what = format!("{} {}", plan.slo.service, plan.slo.name);
    let mut annotations = BTreeMap::from([
        ("title".to_owned(), format!("(ticket) {what} SLO has no data.")),
        (
            "summary".to_owned(),
            format!(
                "Nothing was counted for {what} in the last {hold}: its alerts cannot fire. Check that its targets are up, \
                 that the total query returns a number, and that the rules are evaluated."
            ),
        ),
    ]);
    annotations.extend(links(plan));
    let covered = plan.increase_of("covered");
    Some(Rule {
        kind: RuleKind::Alert,
        name: MISSING.to_owned(),
        expr: format!("absent(sum({covered}))"),
        hold: Some(hold),
        labels,
        annotations,
    })
}
