//! Do the series exist, and how often are they scraped?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use daemon_kit::prom::{self, Client, Error};
use slo_engine_core::promql::with_window;
use slo_engine_core::{Finding, PromDuration, Query, Severity, Slo};
use tokio::sync::OnceCell;

use super::selectors::{Selector, selectors};
use super::{Live, Role, finding, shown};

/// Values of a label that are shown.
const SHOWN: usize = 8;
/// Difference between the stated and the real scrape interval that is worth a word.
const TOLERANCE: f64 = 0.25;

/// What is known of a selector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// Series with samples in the last minutes.
    pub(super) series: f64,
    /// Samples of the median series in that time.
    samples: f64,
    /// That time, in seconds.
    range: f64,
}

impl Seen {
    /// Seconds between two samples.
    pub(super) fn interval(&self) -> Option<f64> {
        // A single sample says nothing about the time between two.
        (self.samples >= 2.0).then(|| self.range / self.samples)
    }
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
    pub(super) async fn seen(&self, selector: &str, scrape: PromDuration) -> Result<Seen, Error> {
        let range = PromDuration::from_millis((20 * scrape.as_millis()).max(600_000));
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(format!("{selector}[{range}]")).or_default())
        };
        cell.get_or_try_init(|| self.ask(selector, range)).await.copied()
    }

    async fn ask(&self, selector: &str, range: PromDuration) -> Result<Seen, Error> {
        let counts = format!("count_over_time({selector}[{range}])");
        let series = number(&self.client, &format!("count({counts})")).await?.unwrap_or(0.0);
        let samples = if series > 0.0 {
            number(&self.client, &format!("quantile(0.5, {counts})")).await?.unwrap_or(0.0)
        } else {
            0.0
        };
        Ok(Seen { series, samples, range: range.as_secs_f64() })
    }
}

/// The value of a query that gives one number or nothing.
pub(super) async fn number(client: &Client, query: &str) -> Result<Option<f64>, Error> {
    Ok(client.instant(query, None).await?.value.first().and_then(prom::Series::last))
}

impl Live {
    /// Looks at every selector of a query.
    pub(super) async fn series_of(&self, slo: &Slo, role: Role, query: &Query) -> Result<Vec<Finding>, Error> {
        let stated = self.scrape_interval(slo);
        let mut all = selectors(&with_window(&query.0, PromDuration::from_secs(300)));
        all.sort_by(|a, b| a.text.cmp(&b.text));
        all.dedup_by(|a, b| a.text == b.text);
        let mut findings = Vec::new();
        for selector in all.iter().filter(|selector| !selector.is_recorded()) {
            let seen = self.series.seen(&selector.text, stated).await?;
            if seen.series == 0.0 {
                findings.push(self.missing(slo, role, selector).await?);
            } else if let Some(interval) = seen.interval() {
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
            let message =
                format!("no series matches {text} now, but some did in the last {}: meanwhile {consequence}", slo.period);
            return Ok(finding(Severity::Note, "series-gone", role.field(), message));
        }
        let message = format!("no series matches {text}, and none did in the last {}: {consequence}", slo.period);
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
            let first = name.split('_').next().unwrap_or(name);
            let pattern = format!("{{__name__=~\"{first}_.+\"}}");
            let names = client.label_values("__name__", &pattern, from_ms, now).await?.value;
            return Ok(Some(match names.as_slice() {
                [] => format!("the metric {name} does not exist"),
                names => format!("the metric {name} does not exist; there are {}", list(names)),
            }));
        }
        let mut reasons = Vec::new();
        for (label, matcher) in &selector.matchers {
            if number(client, &format!("count({name}{{{matcher}}})")).await?.is_some() {
                continue;
            }
            let values = client.label_values(label, name, from_ms, now).await?.value;
            reasons.push(match values.as_slice() {
                [] => format!("{name} has no label {label}"),
                values => format!("{matcher} matches nothing: the label {label} of {name} has the values {}", list(values)),
            });
        }
        if reasons.is_empty() {
            return Ok(Some(format!("each matcher alone matches some series of {name}, all together match none")));
        }
        Ok(Some(reasons.join("; ")))
    }
}

/// The first few, and how many more.
fn list(values: &[String]) -> String {
    let mut text = values.iter().take(SHOWN).map(|value| value.escape_debug().to_string()).collect::<Vec<_>>().join(", ");
    if values.len() > SHOWN {
        text.push_str(&format!(" and {} more", values.len() - SHOWN));
    }
    text
}

fn differs(role: Role, selector: &Selector, interval: f64, stated: PromDuration) -> Option<Finding> {
    let stated_seconds = stated.as_secs_f64();
    // One sample more or less at the ends is no difference.
    if (interval / stated_seconds - 1.0).abs() <= TOLERANCE {
        return None;
    }
    let real = shown(if interval >= 5.0 { (interval / 5.0).round() * 5.0 } else { interval.round().max(1.0) });
    let message = format!(
        "series of {} have a sample every {real} or so, not every {stated} as the scrape interval says: events at the edges \
         of base windows are then missed or counted twice",
        selector.text
    );
    let mut differs = finding(Severity::Warning, "scrape-interval-differs", role.field(), message);
    differs.help = Some(format!("write `scrape_interval: {real}` for this SLO, or pass --scrape-interval {real}"));
    Some(differs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_more_or_less_is_no_difference() {
        let selector = selectors("x").remove(0);
        let stated = PromDuration::from_secs(30);
        for samples in [19.0, 20.0, 21.0] {
            assert_eq!(differs(Role::Total, &selector, 600.0 / samples, stated), None, "{samples}");
        }
        let found = differs(Role::Total, &selector, 600.0 / 41.0, stated).unwrap();
        assert!(found.message.contains("every 15s or so, not every 30s"), "{}", found.message);
        let found = differs(Role::Total, &selector, 600.0 / 10.0, stated).unwrap();
        assert!(found.help.unwrap().contains("scrape_interval: 1m"));
    }

    #[test]
    fn long_lists_are_cut() {
        let values: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert_eq!(list(&values), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
        assert_eq!(list(&["a\u{1b}".to_owned()]), "a\\u{1b}");
    }
}
