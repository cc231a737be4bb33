//! From one SLO to rendered groups.

use daemon_kit::diagnostic::{Diagnostic, Level};
use slo_engine_core::profile::lean::{self, LeanOptions};
use slo_engine_core::profile::sloth::{self, names};
use slo_engine_core::{Catalogue, CheckOptions, Field, Finding, Profile, RuleGroup, Severity, check};

use super::args::Args;
use crate::cli::ProfileArg;
use crate::output::Section;
use crate::spec::{LocatedSlo, diagnose};

/// Everything that SLOs are turned into rules with. Shared by all threads.
pub(super) struct Maker {
    profile: ProfileArg,
    sloth: sloth::Options,
    lean: LeanOptions,
    catalogue: Catalogue,
    check: CheckOptions,
}

/// One group, as it stands in its section.
pub(super) struct Rendered {
    /// Its name.
    pub(super) name: String,
    /// Its YAML.
    pub(super) text: String,
    /// How many rules it has.
    pub(super) rules: usize,
}

/// What became of one SLO.
#[derive(Default)]
pub(super) struct Made {
    /// Its groups; none if there were errors.
    pub(super) groups: Vec<Rendered>,
    /// What there is to say.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// There were errors.
    pub(super) failed: bool,
}

impl Maker {
    pub(super) fn new(args: &Args, catalogue: Catalogue) -> Self {
        let rules = &args.rules;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let profile = match rules.profile {
            ProfileArg::Lean => Profile::Lean,
            ProfileArg::Sloth => Profile::Sloth,
        };
        Self {
            profile: rules.profile,
            sloth: sloth::Options {
                version: version.clone(),
                disable_recordings: rules.without_recordings(),
                disable_alerts: rules.without_alerts(),
            },
            lean: LeanOptions {
                interval: rules.interval,
                scrape_interval: rules.scrape_interval,
                dashboard_url: rules.dashboard_url.clone(),
                version,
                disable_recordings: rules.without_recordings(),
                disable_alerts: rules.without_alerts(),
                ..LeanOptions::default()
            },
            catalogue,
            check: CheckOptions { profile, promql: rules.promql.into(), lints: false },
        }
    }

    /// Checks an SLO and renders its rules for a section.
    pub(super) fn make(&self, located: &LocatedSlo, section: &Section) -> Made {
        if located.no_rules {
            return Made::default();
        }
        let (groups, findings) = self.rules(located);
        let diagnostics: Vec<_> = findings.into_iter().map(|finding| diagnose(located, finding)).collect();
        if diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error) {
            return Made { groups: Vec::new(), diagnostics, failed: true };
        }
        let groups = groups
            .into_iter()
            .map(|group| Rendered {
                text: section.render(&group),
                rules: group.rules.len(),
                name: group.name,
            })
            .collect();
        Made { groups, diagnostics, failed: false }
    }

    fn rules(&self, located: &LocatedSlo) -> (Vec<RuleGroup>, Vec<Finding>) {
        let slo = &located.slo;
        let mut findings = check(slo, &self.check);
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return (Vec::new(), findings);
        }
        let windows = match self.catalogue.for_period(slo.period, true) {
            Ok(windows) => windows,
            Err(error) => {
                findings.push(failure("unsupported-period", Field::Period, &error));
                return (Vec::new(), findings);
            }
        };
        match self.profile {
            ProfileArg::Lean => {
                let options = LeanOptions { mode: names::mode(slo.spec).to_owned(), ..self.lean.clone() };
                let (groups, more) = lean::rules(slo, &windows, &options);
                findings.extend(more);
                (groups, findings)
            }
            ProfileArg::Sloth => match sloth::rules(slo, &windows, &self.sloth) {
                Ok(mut groups) => {
                    for group in &mut groups {
                        group.interval = self.lean.interval;
                    }
                    (groups, findings)
                }
                Err(error) => {
                    findings.push(failure("no-rules", Field::Slo, &error));
                    (Vec::new(), findings)
                }
            },
        }
    }
}

fn failure(code: &'static str, field: Field, error: &dyn std::error::Error) -> Finding {
    Finding { severity: Severity::Error, code, field, offset: None, message: error.to_string(), help: None }
}
