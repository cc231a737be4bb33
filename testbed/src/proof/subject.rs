//! The SLO under test and its rules in both profiles.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use slo_engine_core::profile::{lean, sloth};
use slo_engine_core::{
    AlertMeta, Catalogue, OwnKeys, PeriodWindows, PromDuration, Query, Rule, RuleGroup, RuleKind, Severity,
    Sli, Slo, SpecKind,
};

use crate::files;

/// Which rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profile {
    /// As Sloth writes them.
    Sloth,
    /// Counted events.
    Lean,
}

impl Profile {
    /// Name of the profile, which is the service of its SLO here: both then live in one Prometheus.
    #[must_use]
    pub const fn service(self) -> &'static str {
        match self {
            Self::Sloth => "sloth",
            Self::Lean => "lean",
        }
    }
}

/// Percent of the SLO under test.
pub const OBJECTIVE: f64 = 99.9;

/// Its error budget, computed as the alerts compute it.
pub const BUDGET: f64 = (100.0 - OBJECTIVE) / 100.0;

/// An availability SLO over `http_requests_total`.
#[must_use]
pub fn slo(service: &str) -> Slo {
    let alert = || {
        let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
        Some(AlertMeta { name: "Burning".to_owned(), labels, annotations: BTreeMap::new() })
    };
    Slo {
        id: format!("{service}-requests"),
        name: "requests".to_owned(),
        service: service.to_owned(),
        description: String::new(),
        objective: OBJECTIVE,
        period: PromDuration::from_days(30),
        labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
        sli: Sli::Events {
            error: Query(r#"sum(rate(http_requests_total{job="shop",code=~"5.."}[{{.window}}]))"#.to_owned()),
            total: Query(r#"sum(rate(http_requests_total{job="shop"}[{{.window}}]))"#.to_owned()),
        },
        page: alert(),
        ticket: alert(),
        spec: SpecKind::PrometheusV1,
        own: OwnKeys::default(),
    }
}

/// The built-in windows of thirty days.
///
/// # Errors
/// Never with the built-in catalogue.
pub fn windows() -> Result<PeriodWindows> {
    Catalogue::built_in().for_period(PromDuration::from_days(30), false).context("no windows for 30d")
}

/// The generated rules.
///
/// # Errors
/// When a generator refuses the SLO.
pub fn rules(profile: Profile, slo: &Slo) -> Result<Vec<RuleGroup>> {
    let windows = windows()?;
    match profile {
        Profile::Sloth => {
            let options = sloth::Options {
                version: "proof".to_owned(),
                disable_recordings: false,
                disable_alerts: false,
            };
            Ok(sloth::rules(slo, &windows, &options)?)
        }
        Profile::Lean => {
            let (groups, findings) = lean::rules(slo, &windows, &lean::LeanOptions::default());
            if let Some(error) = findings.iter().find(|finding| finding.severity == Severity::Error) {
                bail!("profile lean refuses the SLO: {}", error.message);
            }
            Ok(groups)
        }
    }
}

/// Keeps the rules that `keep` wants, and the groups that still have some.
#[must_use]
pub fn only(groups: Vec<RuleGroup>, keep: impl Fn(&Rule) -> bool) -> Vec<RuleGroup> {
    let mut kept = groups;
    for group in &mut kept {
        group.rules.retain(&keep);
    }
    kept.retain(|group| !group.rules.is_empty());
    kept
}

/// A rule file; JSON is YAML.
#[must_use]
pub fn rule_file(groups: &[RuleGroup]) -> Value {
    let groups: Vec<Value> = groups
        .iter()
        .map(|group| {
            let mut value =
                json!({"name": group.name, "rules": group.rules.iter().map(rule).collect::<Vec<_>>()});
            if let (Some(interval), Some(object)) = (group.interval, value.as_object_mut()) {
                object.insert("interval".to_owned(), json!(interval.to_string()));
            }
            value
        })
        .collect();
    json!({ "groups": groups })
}

/// Writes a rule file.
///
/// # Errors
/// When it cannot be written.
pub fn write_rules(path: &Path, groups: &[RuleGroup]) -> Result<()> {
    files::write(path, &format!("{:#}\n", rule_file(groups)))
}

fn rule(rule: &Rule) -> Value {
    let kind = match rule.kind {
        RuleKind::Record => "record",
        RuleKind::Alert => "alert",
    };
    let mut value = json!({kind: rule.name, "expr": rule.expr, "labels": rule.labels});
    if let Some(object) = value.as_object_mut() {
        if let Some(hold) = rule.hold {
            object.insert("for".to_owned(), json!(hold.to_string()));
        }
        if rule.kind == RuleKind::Alert {
            object.insert("annotations".to_owned(), json!(rule.annotations));
        }
    }
    value
}
