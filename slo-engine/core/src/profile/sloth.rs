//! Profile `sloth`: rules equal to those of Sloth v0.16.0, as parsed YAML.
//!
//! Per SLO up to three groups, in this order, an empty one left out: the error ratio of every window, the metadata, the
//! alerts. What looks odd here is odd there: `docs/sloth-compatibility.md` lists the traps and the tests that hold them.

mod alerts;
mod metadata;
pub mod names;
mod recordings;

use crate::duration::PromDuration;
use crate::rule::RuleGroup;
use crate::slo::Slo;
use crate::template::TemplateError;
use crate::window::PeriodWindows;

/// What does not come from the SLO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Value of the label `sloth_version`.
    pub version: String,
    /// `--disable-recordings`: neither ratios nor metadata.
    pub disable_recordings: bool,
    /// `--disable-alerts`.
    pub disable_alerts: bool,
}

/// Why no rules can be made from an SLO.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// A query is no template this program renders.
    #[error("query template: {0}")]
    Template(#[from] TemplateError),
    /// The period rule averages the ratios of the shortest page window; over that same window there is nothing to
    /// average.
    #[error("the SLO period {0} is also the short window of the quick page alert: choose a longer period")]
    PeriodIsShortWindow(PromDuration),
}

/// All rules of one SLO. `windows` are those of `slo.period`.
///
/// Nothing is checked here: an SLO that the checks of the core refuse gives rules that Prometheus refuses.
///
/// # Errors
/// [`RulesError`].
pub fn rules(slo: &Slo, windows: &PeriodWindows, options: &Options) -> Result<Vec<RuleGroup>, RulesError> {
    let mut groups = Vec::with_capacity(3);
    let mut add = |prefix: &str, rules: Vec<_>| {
        if !rules.is_empty() {
            groups.push(RuleGroup { name: format!("{prefix}-{}", slo.id), interval: None, rules });
        }
    };
    if !options.disable_recordings {
        add("sloth-slo-sli-recordings", recordings::rules(slo, windows)?);
        add("sloth-slo-meta-recordings", metadata::rules(slo, windows, options));
    }
    if !options.disable_alerts {
        add("sloth-slo-alerts", alerts::rules(slo, windows));
    }
    Ok(groups)
}

#[cfg(test)]
mod tests;
