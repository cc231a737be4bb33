//! What the rules of an SLO would read, with the series that exist.

use std::io::{self, Write};

use daemon_kit::prom::Error;
use serde_json::{Value, json};
use slo_engine_core::profile::lean::{self, HELD, LeanOptions, RECOVERED, TALLY, WINDOW};
use slo_engine_core::profile::sloth;
use slo_engine_core::{PeriodWindows, PromDuration, RuleGroup, RuleKind, Slo};

use super::Live;
use super::selectors::selectors;

/// Evaluation interval that profile `sloth` leaves to Prometheus, whose default this is not: the same as lean's, so that the
/// two compare.
const INTERVAL: PromDuration = PromDuration::from_secs(30);

/// Cost of one SLO.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// `sloth_id`.
    pub id: String,
    /// Raw series that its queries select.
    pub series: u64,
    /// With profile `sloth`, evaluated every 30 s.
    pub sloth: ProfileCost,
    /// With profile `lean`.
    pub lean: ProfileCost,
}

/// Cost with one profile, for each group of the queries' result (one, unless they group).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProfileCost {
    /// Samples read when every rule is evaluated once.
    pub samples: f64,
    /// Samples read in an hour of operation.
    pub samples_per_hour: f64,
    /// Series written.
    pub records: u64,
}

impl Live {
    /// `None` when there are no rules.
    pub(super) async fn cost(&self, slo: &Slo, windows: &PeriodWindows) -> Result<Option<Cost>, Error> {
        let options = LeanOptions { scrape_interval: self.options.scrape_interval, ..LeanOptions::default() };
        let (lean, _) = lean::rules(slo, windows, &options);
        let options =
            sloth::Options { version: String::new(), disable_recordings: false, disable_alerts: false };
        let Ok(sloth) = sloth::rules(slo, windows, &options) else { return Ok(None) };
        let mut series = 0.0;
        let mut seen = std::collections::BTreeSet::new();
        for (_, query) in super::queries(slo) {
            for selector in selectors(&slo_engine_core::promql::with_window(&query.0, INTERVAL)) {
                if !selector.is_recorded() && seen.insert(selector.text.clone()) {
                    series += self.series.seen(&selector, self.scrape_interval(slo)).await?.series;
                }
            }
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of series")]
        let series = series as u64;
        let (sloth, lean) = (self.rounds(slo, &sloth).await?, self.rounds(slo, &lean).await?);
        Ok(Some(Cost { id: slo.id.clone(), series, sloth, lean }))
    }

    async fn rounds(&self, slo: &Slo, groups: &[RuleGroup]) -> Result<ProfileCost, Error> {
        let mut cost = ProfileCost::default();
        for group in groups {
            let interval = group.interval.unwrap_or(INTERVAL).as_secs_f64();
            for rule in &group.rules {
                let mut samples = 0.0;
                for selector in selectors(&rule.expr) {
                    if selector.is_recorded() {
                        // The long look-backs of recorded series are ranges over what this group writes.
                        samples += (selector.seconds / interval).max(1.0);
                    } else {
                        let seen = self.series.seen(&selector, self.scrape_interval(slo)).await?;
                        let scrape = seen.interval.unwrap_or_else(|| self.scrape_interval(slo).as_secs_f64());
                        samples += seen.series * (selector.seconds / scrape).max(1.0);
                    }
                }
                cost.samples += samples;
                cost.samples_per_hour += samples * 3_600.0 / interval;
                if rule.kind == RuleKind::Record {
                    // These hold total, error and covered.
                    cost.records +=
                        if [TALLY, WINDOW, HELD, RECOVERED].contains(&rule.name.as_str()) { 3 } else { 1 };
                }
            }
        }
        Ok(cost)
    }
}

/// As a table for people.
///
/// # Errors
/// Writing failed.
pub fn write_costs(out: &mut dyn Write, costs: &[Cost]) -> io::Result<()> {
    if costs.is_empty() {
        return Ok(());
    }
    let width = costs.iter().map(|cost| cost.id.chars().count()).max().unwrap_or(0).max(3);
    writeln!(out, "cost of the rules with the series that exist now:")?;
    writeln!(
        out,
        "  {:width$}  {:>8}  {:>14} {:>12}  {:>16} {:>14}  {:>6} {:>5}",
        "SLO", "series", "samples/round", "", "samples/hour", "", "writes", ""
    )?;
    writeln!(
        out,
        "  {:width$}  {:>8}  {:>14} {:>12}  {:>16} {:>14}  {:>6} {:>5}",
        "", "read", "sloth", "lean", "sloth", "lean", "sloth", "lean"
    )?;
    for cost in costs {
        writeln!(
            out,
            "  {:width$}  {:>8}  {:>14} {:>12}  {:>16} {:>14}  {:>6} {:>5}",
            cost.id,
            cost.series,
            thousands(cost.sloth.samples),
            thousands(cost.lean.samples),
            thousands(cost.sloth.samples_per_hour),
            thousands(cost.lean.samples_per_hour),
            cost.sloth.records,
            cost.lean.records
        )?;
    }
    Ok(())
}

/// As a list for scripts.
#[must_use]
pub fn costs_to_json(costs: &[Cost]) -> Value {
    let profile = |cost: &ProfileCost| {
        json!({
            "samples_per_round": cost.samples.round(),
            "samples_per_hour": cost.samples_per_hour.round(),
            "series_written": cost.records,
        })
    };
    costs
        .iter()
        .map(|cost| {
            json!({"slo": cost.id, "series_read": cost.series, "sloth": profile(&cost.sloth), "lean": profile(&cost.lean)})
        })
        .collect()
}

/// `1,234,567`
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (value, text) in [(0.0, "0"), (999.4, "999"), (1_000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(thousands(value), text);
        }
    }
}
