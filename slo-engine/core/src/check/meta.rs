//! Labels and annotations.

use std::collections::BTreeMap;

use super::{CheckOptions, Profile, error, finding};
use crate::finding::{Field, Finding, Severity, Tier};
use crate::slo::{AlertMeta, Slo};

/// Labels by which an SLO's series are found.
const IDENTITY: [&str; 4] = ["sloth_id", "sloth_service", "sloth_slo", "sloth_window"];

pub(super) fn labels(slo: &Slo, options: &CheckOptions, findings: &mut Vec<Finding>) {
    for (key, value) in &slo.labels {
        label(key, value, Field::Label(key.clone()), options, findings);
        // Profile lean tells so itself, because it leaves such a label out.
        if options.lints && options.profile == Profile::Sloth && IDENTITY.contains(&key.as_str()) {
            let message = format!(
                "the label `{key}` replaces the one that the alert expressions look for, and the alerts can never fire"
            );
            let field = Field::Label(key.clone());
            findings.push(
                finding(Severity::Warning, "label-identity", field, message).help("use another label name"),
            );
        }
    }
}

pub(super) fn alerts(slo: &Slo, options: &CheckOptions, findings: &mut Vec<Finding>) {
    let mut nameless = false;
    for (tier, meta) in [(Tier::Page, &slo.page), (Tier::Ticket, &slo.ticket)] {
        let Some(meta) = meta else { continue };
        // Both tiers share the name: say so once.
        if meta.name.is_empty() && !nameless {
            nameless = true;
            findings.push(
                error("alert-name-required", Field::AlertName, "the alerts have no name".to_owned())
                    .help("write `alerting.name`, or disable both alerts"),
            );
        }
        alert(tier, meta, options, findings);
    }
}

fn alert(tier: Tier, meta: &AlertMeta, options: &CheckOptions, findings: &mut Vec<Finding>) {
    for (key, value) in &meta.labels {
        label(key, value, Field::AlertLabel(tier, key.clone()), options, findings);
        if options.lints && key == "sloth_severity" {
            findings.push(
                finding(
                    Severity::Warning,
                    "label-severity",
                    Field::AlertLabel(tier, key.clone()),
                    "the label `sloth_severity` tells pages from tickets, and this replaces it".to_owned(),
                )
                .help("use a label of your own, such as `severity`"),
            );
        }
    }
    for (key, value) in &meta.annotations {
        let field = || Field::AlertAnnotation(tier, key.clone());
        if key.is_empty() {
            findings.push(error("annotation-name", field(), "an annotation has no name".to_owned()));
        }
        if value.is_empty() {
            findings.push(
                error("annotation-empty", field(), format!("the annotation `{key}` is empty"))
                    .help("write a text, or leave the annotation out"),
            );
        }
    }
    if options.lints {
        templates(tier, &meta.annotations, findings);
    }
}

fn label(key: &str, value: &str, field: Field, options: &CheckOptions, findings: &mut Vec<Finding>) {
    if key == "__name__" {
        findings.push(
            error("label-name", field.clone(), "a label cannot be called `__name__`".to_owned())
                .help("that is the name of the metric itself"),
        );
    } else if key.is_empty() {
        findings.push(error("label-name", field.clone(), "a label has no name".to_owned()));
    } else if options.lints && !is_classic_name(key) {
        findings.push(
            finding(
                Severity::Warning,
                "label-name-utf8",
                field.clone(),
                format!("the label name `{key}` is rejected by Prometheus 2"),
            )
            .help("letters, digits and `_` work everywhere"),
        );
    }
    if value.is_empty() {
        findings.push(
            error("label-empty", field, format!("the label `{key}` has an empty value"))
                .help("Prometheus drops labels without a value: write one, or leave the label out"),
        );
    }
}

/// What every version of Prometheus takes as a label name.
fn is_classic_name(name: &str) -> bool {
    name.chars()
        .enumerate()
        .all(|(at, c)| c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit()))
}

/// Prometheus refuses a rule file in which one annotation is a broken template.
fn templates(tier: Tier, annotations: &BTreeMap<String, String>, findings: &mut Vec<Finding>) {
    for (key, value) in annotations {
        let (opened, closed) = (value.matches("{{").count(), value.matches("}}").count());
        if opened > closed {
            findings.push(
                finding(
                    Severity::Warning,
                    "annotation-template",
                    Field::AlertAnnotation(tier, key.clone()),
                    format!("the annotation `{key}` opens a template action and does not close it"),
                )
                .help("Prometheus refuses the whole rule file then; write `{{ \"{{\" }}` for plain braces"),
            );
        }
    }
}
