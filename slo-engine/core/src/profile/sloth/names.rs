//! Sloth's names of metrics and labels. Both profiles write them: dashboards and alerts depend on them.

use std::collections::BTreeMap;

use crate::duration::PromDuration;
use crate::slo::{Slo, SpecKind};

/// Label: which SLO (`<service>-<name>`).
pub const ID: &str = "sloth_id";
/// Label: name of the SLO.
pub const SLO: &str = "sloth_slo";
/// Label: service of the SLO.
pub const SERVICE: &str = "sloth_service";
/// Label: window of a ratio.
pub const WINDOW: &str = "sloth_window";
/// Label: `page` or `ticket`.
pub const SEVERITY: &str = "sloth_severity";
/// Label of the info metric: version of the generator.
pub const VERSION: &str = "sloth_version";
/// Label of the info metric: which command made the rules.
pub const MODE: &str = "sloth_mode";
/// Label of the info metric: format of the spec.
pub const SPEC: &str = "sloth_spec";
/// Label of the info metric: objective in percent.
pub const OBJECTIVE: &str = "sloth_objective";

/// Metric: objective as a ratio.
pub const OBJECTIVE_RATIO: &str = "slo:objective:ratio";
/// Metric: error budget as a ratio.
pub const ERROR_BUDGET_RATIO: &str = "slo:error_budget:ratio";
/// Metric: period in days.
pub const PERIOD_DAYS: &str = "slo:time_period:days";
/// Metric: burn rate of the base window.
pub const CURRENT_BURN_RATE: &str = "slo:current_burn_rate:ratio";
/// Metric: burn rate of the period.
pub const PERIOD_BURN_RATE: &str = "slo:period_burn_rate:ratio";
/// Metric: share of the budget that is left.
pub const BUDGET_REMAINING: &str = "slo:period_error_budget_remaining:ratio";
/// Metric: constant 1 with everything known about the SLO as labels.
pub const INFO: &str = "sloth_slo_info";

/// Metric of the error ratio over a window.
#[must_use]
pub fn error_ratio(window: PromDuration) -> String {
    format!("slo:sli_error:ratio_rate{window}")
}

/// The three labels that tell one SLO from another.
#[must_use]
pub fn id_labels(slo: &Slo) -> BTreeMap<String, String> {
    [(ID, &slo.id), (SERVICE, &slo.service), (SLO, &slo.name)]
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .into()
}

/// The same as a selector: `{sloth_id="…", sloth_service="…", sloth_slo="…"}`.
#[must_use]
pub fn id_selector(slo: &Slo) -> String {
    let quoted = |text: &str| text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
    format!(
        r#"{{{ID}="{}", {SERVICE}="{}", {SLO}="{}"}}"#,
        quoted(&slo.id),
        quoted(&slo.service),
        quoted(&slo.name)
    )
}

/// Value of [`MODE`]: `openslo/v1`, which Sloth does not read, counts as OpenSLO.
#[must_use]
pub const fn mode(spec: SpecKind) -> &'static str {
    match spec {
        SpecKind::PrometheusV1 => "cli-gen-prom",
        SpecKind::KubernetesV1 => "cli-gen-k8s",
        SpecKind::OpenSloV1Alpha | SpecKind::OpenSloV1 => "cli-gen-openslo",
    }
}

/// Value of [`SPEC`].
#[must_use]
pub const fn spec(spec: SpecKind) -> &'static str {
    match spec {
        SpecKind::PrometheusV1 => "prometheus/v1",
        SpecKind::KubernetesV1 => "sloth.slok.dev/v1",
        SpecKind::OpenSloV1Alpha => "openslo/v1alpha",
        SpecKind::OpenSloV1 => "openslo/v1",
    }
}
