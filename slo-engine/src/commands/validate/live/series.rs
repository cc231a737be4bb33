//! Do the series exist, and how often are they scraped?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use daemon_kit::prom::{self, Client, Error, Labels, Sample};
use slo_engine_core::promql::with_window;
use slo_engine_core::{Finding, PromDuration, Query, Severity, Slo};
use tokio::sync::OnceCell;

use super::selectors::{Selector, selectors};
use super::{Live, Role, finding, shown};
use crate::spec::suggest::nearest;

/// Values of a label that are shown.
const SHOWN: usize = 8;
/// Difference between the stated and the real scrape interval that is worth a word.
const TOLERANCE: f64 = 0.25;

/// What is known of a selector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// Series with samples in the last minutes.
    pub(super) series: f64,
    /// Median of the seconds between two samples of one of them.
    pub(super) interval: Option<f64>,
}

/// Asks about each selector once, however many SLOs use it.
pub(super) struct Series {
    client: Client,
    known: Mutex<HashMap<String, Arc<OnceCell<Seen>>>>,
}

impl Series {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: Mutex::new(HashMap::new()) }
    }

    /// Looks back ten minutes, or twenty scrapes where they are rare.
    pub(super) async fn seen(&self, selector: &Selector, scrape: PromDuration) -> Result<Seen, Error> {
        let range = PromDuration::from_millis((20 * scrape.as_millis()).max(600_000));
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(format!("{}[{range}]", selector.text)).or_default())
        };
        cell.get_or_try_init(|| self.ask(selector, range)).await.copied()
    }

    async fn ask(&self, selector: &Selector, range: PromDuration) -> Result<Seen, Error> {
        let counts = format!("count_over_time({}[{range}])", selector.text);
        let series = number(&self.client, &format!("count({counts})")).await?.unwrap_or(0.0);
        // The series with the most samples stands for all: the others may be young, or gone in between.
        let fullest = self.client.instant(&format!("topk(1, {counts})"), None).await?.value;
        let Some(fullest) = fullest.into_iter().next() else { return Ok(Seen { series, interval: None }) };
        let samples =
            self.client.instant(&format!("{}[{range}]", exactly(selector, &fullest.labels)), None).await?;
        let interval = samples.value.first().and_then(|series| median_gap(&series.samples));
        Ok(Seen { series, interval })
    }
}

/// The selector of one series.
fn exactly(selector: &Selector, labels: &Labels) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let mut matchers: Vec<String> = labels
        .iter()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| format!("{name}=\"{}\"", quoted(value)))
        .collect();
    matchers.extend(selector.name.iter().map(|name| format!("__name__=\"{}\"", quoted(name))));
    if selector.name.is_none() {
        // Another metric with the same labels would do as well.
        matchers.extend(selector.matchers.iter().map(|(_, matcher)| matcher.clone()));
        matchers.extend(selector.metric.clone());
    }
    format!("{{{}}}", matchers.join(","))
}

/// Seconds.
#[allow(clippy::cast_precision_loss, reason = "milliseconds of some minutes")]
fn median_gap(samples: &[Sample]) -> Option<f64> {
    let mut gaps: Vec<i64> = samples
        .iter()
        .zip(samples.iter().skip(1))
        .map(|(before, after)| after.at_ms - before.at_ms)
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).map(|gap| *gap as f64 / 1_000.0)
}

/// The value of a query that gives one number or nothing.
pub(super) async fn number(client: &Client, query: &str) -> Result<Option<f64>, Error> {
    Ok(client.instant(query, None).await?.value.first().and_then(prom::Series::last))
}

impl Live {
    /// Looks at every selector of a query.
    pub(super) async fn series_of(
        &self,
        slo: &Slo,
        role: Role,
        query: &Query,
    ) -> Result<Vec<Finding>, Error> {
        let stated = self.scrape_interval(slo);
        let mut all = selectors(&with_window(&query.0, PromDuration::from_secs(300)));
        all.sort_by(|a, b| a.text.cmp(&b.text));
        all.dedup_by(|a, b| a.text == b.text);
        let mut findings = Vec::new();
        for selector in all.iter().filter(|selector| !selector.is_recorded()) {
            let seen = self.series.seen(selector, stated).await?;
            if seen.series == 0.0 {
                findings.push(self.missing(slo, role, selector).await?);
            } else if let Some(interval) = seen.interval {
                findings.extend(differs(role, selector, interval, stated));
            }
        }
        Ok(findings)
    }

    /// Nothing matches now: since when, and why?
    async fn missing(&self, slo: &Slo, role: Role, selector: &Selector) -> Result<Finding, Error> {
        let now = self.options.now_ms;
        let period = i64::try_from(slo.period.as_millis()).unwrap_or(i64::MAX);
        let past = match self.client.series(&[&selector.text], now.saturating_sub(period), now).await {
            Ok(answer) => !answer.value.is_empty(),
            // More than fits: there are some.
            Err(Error::TooLarge { .. }) => true,
            Err(error) => return Err(error),
        };
        let consequence = match role {
            Role::Error => "no errors are seen, and the SLO reads as 100 % good",
            Role::Good => "nothing is seen as good, and the SLO reads as 0 % good",
            Role::Total | Role::Ratio | Role::Weight => "the SLO has no data",
        };
        let text = &selector.text;
        if past {
            let message = format!(
                "no series matches {text} now, but some did in the last {}: meanwhile {consequence}",
                slo.period
            );
            return Ok(finding(Severity::Note, "series-gone", role.field(), message));
        }
        let message =
            format!("no series matches {text}, and none did in the last {}: {consequence}", slo.period);
        let mut missing = finding(Severity::Warning, "series-missing", role.field(), message);
        missing.help = self.reason(selector, now.saturating_sub(period)).await?;
        if missing.help.is_none() && role == Role::Error {
            missing.help = Some("if there was no error yet, this is as it should be".to_owned());
        }
        Ok(missing)
    }

    /// Which part of the selector excludes everything, and what would not.
    async fn reason(&self, selector: &Selector, from_ms: i64) -> Result<Option<String>, Error> {
        let Some(name) = &selector.name else { return Ok(None) };
        let now = self.options.now_ms;
        let client = &self.client;
        if number(client, &format!("count({name})")).await?.is_none() {
            let names = client.label_values("__name__", "", from_ms, now).await?.value;
            let meant = nearest(name, names.iter().map(String::as_str));
            let meant = meant.map(|meant| format!("; did you mean {}?", meant.escape_debug()));
            return Ok(Some(format!("the metric {name} does not exist{}", meant.unwrap_or_default())));
        }
        let mut reasons = Vec::new();
        for (label, matcher) in &selector.matchers {
            if number(client, &format!("count({name}{{{matcher}}})")).await?.is_some() {
                continue;
            }
            let values = client.label_values(label, name, from_ms, now).await?.value;
            reasons.push(match values.as_slice() {
                [] => format!("{name} has no label {label}"),
                values => format!(
                    "{matcher} matches nothing: the label {label} of {name} has the values {}",
                    list(values)
                ),
            });
        }
        if reasons.is_empty() {
            return Ok(Some(format!(
                "each matcher alone matches some series of {name}, all together match none"
            )));
        }
        Ok(Some(reasons.join("; ")))
    }
}

/// The first few, and how many more.
fn list(values: &[String]) -> String {
    let mut text = values
        .iter()
        .take(SHOWN)
        .map(|value| value.escape_debug().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    if values.len() > SHOWN {
        text.push_str(&format!(" and {} more", values.len() - SHOWN));
    }
    text
}

fn differs(role: Role, selector: &Selector, interval: f64, stated: PromDuration) -> Option<Finding> {
    let stated_seconds = stated.as_secs_f64();
    if (interval / stated_seconds - 1.0).abs() <= TOLERANCE {
        return None;
    }
    let real = shown(interval.round().max(1.0));
    let message = format!(
        "series of {} have a sample every {real}, not every {stated} as the scrape interval says: events at the edges \
         of base windows are then missed or counted twice",
        selector.text
    );
    let mut differs = finding(Severity::Warning, "scrape-interval-differs", role.field(), message);
    differs.help =
        Some(format!("write `scrape_interval: {real}` for this SLO, or pass --scrape-interval {real}"));
    Some(differs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_no_difference() {
        let selector = selectors("x").remove(0);
        let stated = PromDuration::from_secs(30);
        for interval in [29.0, 30.0, 30.1, 36.0] {
            assert_eq!(differs(Role::Total, &selector, interval, stated), None, "{interval}");
        }
        let found = differs(Role::Total, &selector, 15.002, stated).unwrap();
        assert!(found.message.contains("every 15s, not every 30s"), "{}", found.message);
        let found = differs(Role::Total, &selector, 60.0, stated).unwrap();
        assert!(found.help.unwrap().contains("scrape_interval: 1m"));
    }

    #[test]
    fn the_median_gap_ignores_a_missed_scrape() {
        let samples: Vec<Sample> =
            [0, 15_000, 30_001, 60_000, 75_000].map(|at_ms| Sample { at_ms, value: 0.0 }).into();
        assert_eq!(median_gap(&samples), Some(15.001));
        assert_eq!(median_gap(&samples[..1]), None);
    }

    #[test]
    fn one_series_is_selected_exactly() {
        let labels = Labels::from([("a".to_owned(), "q\"\\".to_owned())]);
        let selector = selectors("x{b=\"c\"}").remove(0);
        assert_eq!(exactly(&selector, &labels), "{a=\"q\\\"\\\\\",__name__=\"x\"}");
        let selector = selectors("{__name__=~\"x.+\",b!=\"c\"}").remove(0);
        assert_eq!(exactly(&selector, &labels), "{a=\"q\\\"\\\\\",b!=\"c\",__name__=~\"x.+\"}");
    }

    #[test]
    fn long_lists_are_cut() {
        let values: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert_eq!(list(&values), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
        assert_eq!(list(&["a\u{1b}".to_owned()]), "a\\u{1b}");
    }
}
