//! Whether rules can be made from an SLO, and whether they will do what its author meant.
//!
//! With [`Profile::Sloth`] an SLO is refused exactly when Sloth v0.16.0 refuses it, apart from the few cases in which Sloth
//! accepts an SLO and writes rules that Prometheus then rejects. With [`Profile::Lean`] a few harmless things pass that
//! Sloth refuses: names of one character, and every spelling of the window action.

mod lint;
mod meta;
mod query;

use crate::finding::{Field, Finding, Severity};
use crate::slo::{Sli, Slo};

/// For which rules an SLO is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// [`crate::profile::lean`].
    #[default]
    Lean,
    /// [`crate::profile::sloth`].
    Sloth,
}

/// What a query that does not parse means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromqlCheck {
    /// An error.
    #[default]
    Strict,
    /// A warning: the server may know more than the parser.
    Warn,
    /// Not looked at.
    Off,
}

/// How to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// For which rules.
    pub profile: Profile,
    /// How strictly queries are read.
    pub promql: PromqlCheck,
    /// Also look for what is allowed but suspicious.
    pub lints: bool,
}

/// Everything there is to say about an SLO, in the order of its fields. Rules can be made when no finding is an error.
#[must_use]
pub fn check(slo: &Slo, options: &CheckOptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    name(&slo.service, Field::Service, options.profile, &mut findings);
    name(&slo.name, Field::Name, options.profile, &mut findings);
    if slo.period.is_zero() {
        findings.push(
            error("period-zero", Field::Period, "the period is zero".to_owned())
                .help("write a duration, such as 30d"),
        );
    }
    objective(slo, options, &mut findings);
    meta::labels(slo, options, &mut findings);
    sli(slo, options, &mut findings);
    meta::alerts(slo, options, &mut findings);
    findings
}

fn name(name: &str, field: Field, profile: Profile, findings: &mut Vec<Finding>) {
    let what = if field == Field::Service { "service" } else { "SLO" };
    if name.is_empty() {
        findings.push(
            error("name-required", field, format!("the {what} has no name"))
                .help("write one, such as `checkout-availability`"),
        );
        return;
    }
    let wrong = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let message = if let Some(c) = wrong {
        format!("the {what} name `{name}` has the character {c:?}")
    } else if !ends(name.chars().next()) || !ends(name.chars().last()) {
        format!("the {what} name `{name}` starts or ends with a punctuation mark")
    } else if name.len() == 1 && profile == Profile::Sloth {
        format!("the {what} name `{name}` has only one character, which Sloth refuses")
    } else {
        return;
    };
    findings.push(error("name-characters", field, message).help(
        "a name starts and ends with a letter or digit; between them `-`, `_` and `.` are allowed too",
    ));
}

fn objective(slo: &Slo, options: &CheckOptions, findings: &mut Vec<Finding>) {
    let value = slo.objective;
    if value.is_nan() || value <= 0.0 || value > 100.0 {
        findings.push(
            error(
                "objective-range",
                Field::Objective,
                format!("the objective {value} is not above 0 and at most 100"),
            )
            .help("write the percentage of good events, such as 99.9"),
        );
    } else if options.lints {
        lint::objective(value, options.profile, findings);
    }
}

fn sli(slo: &Slo, options: &CheckOptions, findings: &mut Vec<Finding>) {
    match &slo.sli {
        Sli::Events { error: errors, total } => {
            if errors == total {
                findings.push(
                    error(
                        "queries-equal",
                        Field::ErrorQuery,
                        "the error query and the total query are the same".to_owned(),
                    )
                    .help("the error query must select bad events only, or every event counts as an error"),
                );
            }
            query::check(&errors.0, Field::ErrorQuery, true, options, findings);
            query::check(&total.0, Field::TotalQuery, true, options, findings);
            if options.lints && errors != total {
                lint::same_tokens(&errors.0, &total.0, Field::ErrorQuery, findings);
            }
        }
        Sli::GoodTotal { good, total } => {
            // Sloth checks the ratio that it makes of both: one window in it is enough.
            let one_is_enough =
                crate::template::mentions_window(&good.0) || crate::template::mentions_window(&total.0);
            query::check(&good.0, Field::GoodQuery, !one_is_enough, options, findings);
            query::check(&total.0, Field::TotalQuery, !one_is_enough, options, findings);
            if options.lints {
                lint::same_tokens(&good.0, &total.0, Field::GoodQuery, findings);
            }
        }
        Sli::Raw { error_ratio } => query::check(&error_ratio.0, Field::RatioQuery, true, options, findings),
    }
    if let Some(weight) = &slo.own.weight_query {
        query::check(&weight.0, Field::WeightQuery, true, options, findings);
    }
}

fn error(code: &'static str, field: Field, message: String) -> Finding {
    finding(Severity::Error, code, field, message)
}

fn finding(severity: Severity, code: &'static str, field: Field, message: String) -> Finding {
    Finding { severity, code, field, offset: None, message, help: None }
}

impl Finding {
    /// Adds what would be right.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds where in the field it is.
    #[must_use]
    pub(crate) fn offset(mut self, offset: Option<usize>) -> Self {
        self.offset = offset;
        self
    }
}

#[cfg(test)]
mod tests;
