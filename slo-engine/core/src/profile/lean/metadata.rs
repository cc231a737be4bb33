//! Sloth's metadata records.

use super::{Plan, ratio_record, record};
use crate::rule::Rule;
use crate::slo::SpecKind;

/// Objective, budget, period, burn rates, remaining budget and the info series, in Sloth's order.
pub(super) fn rules(plan: &Plan<'_>) -> Vec<Rule> {
    let objective = plan.slo.objective / 100.0;
    let labels = plan.all_labels();
    let days = plan.windows.period.as_hours_f64() / 24.0;
    // Burn rate = error ratio over budget; without a budget any error spends it: 0 or 1, never infinite.
    let burn = |window| {
        let ratio = plan.series(&ratio_record(window), "");
        if plan.slo.objective >= 100.0 {
            format!("{ratio} > bool 0")
        } else {
            format!("{ratio} / (1-{objective})")
        }
    };
    let burned = plan.series("slo:period_burn_rate:ratio", "");
    let mut info = labels.clone();
    for (name, value) in [
        ("sloth_version", plan.options.version.clone()),
        ("sloth_mode", plan.options.mode.clone()),
        ("sloth_spec", spec_label(plan.slo.spec).to_owned()),
        ("sloth_objective", plan.slo.objective.to_string()),
    ] {
        info.insert(name.to_owned(), value);
    }
    vec![
        record("slo:objective:ratio".to_owned(), format!("vector({objective})"), labels.clone()),
        record("slo:error_budget:ratio".to_owned(), format!("vector(1-{objective})"), labels.clone()),
        record("slo:time_period:days".to_owned(), format!("vector({days})"), labels.clone()),
        record("slo:current_burn_rate:ratio".to_owned(), burn(plan.windows.page.quick.short), labels.clone()),
        record("slo:period_burn_rate:ratio".to_owned(), burn(plan.windows.period), labels.clone()),
        record("slo:period_error_budget_remaining:ratio".to_owned(), format!("1 - {burned}"), labels),
        record("sloth_slo_info".to_owned(), "vector(1)".to_owned(), info),
    ]
}

const fn spec_label(spec: SpecKind) -> &'static str {
    match spec {
        SpecKind::PrometheusV1 => "prometheus/v1",
        SpecKind::KubernetesV1 => "sloth.slok.dev/v1",
        SpecKind::OpenSloV1Alpha => "openslo/v1alpha",
        SpecKind::OpenSloV1 => "openslo/v1",
    }
}
