//! What a live Prometheus says about specs: do the series exist, is errors <= total, is the scrape interval what is stated,
//! what would the rules cost.
//!
//! Only instant queries, label look-ups and one short range query per SLO are sent, a few at a time. Nothing here is an error
//! of the spec: what is found is a warning or a note; that a question could not be answered is an error.

mod cost;
mod selectors;
mod series;
mod values;

use std::sync::Arc;

use anyhow::Context as _;
use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::prom::{Client, Error};
use slo_engine_core::{Field, Finding, PeriodWindows, PromDuration, Query, Severity, Sli, Slo};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::spec::{LocatedSlo, diagnose};
pub use cost::{Cost, ProfileCost, costs_to_json, write_costs};
use series::Series;

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// Scrape interval of SLOs that state none.
    pub scrape_interval: PromDuration,
    /// SLOs looked at at a time.
    pub concurrency: usize,
}

impl Options {
    /// Defaults: 30 s between scrapes, four SLOs at a time.
    #[must_use]
    pub const fn new(now_ms: i64) -> Self {
        Self { now_ms, scrape_interval: PromDuration::from_secs(30), concurrency: 4 }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order of the SLOs.
    pub diagnostics: Vec<Diagnostic>,
    /// One for each SLO that could be measured.
    pub costs: Vec<Cost>,
}

/// Asks the server about every SLO.
///
/// # Errors
/// When the server does not answer at all.
pub async fn check(
    client: &Client,
    slos: &[(LocatedSlo, PeriodWindows)],
    options: &Options,
) -> anyhow::Result<Report> {
    client.instant("vector(1)", None).await.context("the live checks cannot be made")?;
    let shared = Arc::new(Live {
        client: client.clone(),
        series: Series::new(client.clone()),
        options: options.clone(),
    });
    let slots = Arc::new(Semaphore::new(options.concurrency.max(1)));
    let mut tasks = JoinSet::new();
    for (index, (located, windows)) in slos.iter().enumerate() {
        let (shared, slots) = (Arc::clone(&shared), Arc::clone(&slots));
        let (located, windows) = (located.clone(), *windows);
        tasks.spawn(async move {
            let _slot = slots.acquire_owned().await;
            (index, shared.look(&located, &windows).await)
        });
    }
    let mut found = Vec::with_capacity(slos.len());
    while let Some(one) = tasks.join_next().await {
        found.push(one.context("a live check ended early")?);
    }
    found.sort_by_key(|(index, _)| *index);
    let mut report = Report::default();
    for (_, (diagnostics, cost)) in found {
        report.diagnostics.extend(diagnostics);
        report.costs.extend(cost);
    }
    Ok(report)
}

/// What the look at one SLO needs.
struct Live {
    client: Client,
    series: Series,
    options: Options,
}

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Error,
    Total,
    Good,
    Ratio,
    Weight,
}

impl Role {
    const fn field(self) -> Field {
        match self {
            Self::Error => Field::ErrorQuery,
            Self::Total => Field::TotalQuery,
            Self::Good => Field::GoodQuery,
            Self::Ratio => Field::RatioQuery,
            Self::Weight => Field::WeightQuery,
        }
    }
}

/// The queries of an SLO.
fn queries(slo: &Slo) -> Vec<(Role, &Query)> {
    let mut queries = match &slo.sli {
        Sli::Events { error, total } => vec![(Role::Error, error), (Role::Total, total)],
        Sli::GoodTotal { good, total } => vec![(Role::Good, good), (Role::Total, total)],
        Sli::Raw { error_ratio } => vec![(Role::Ratio, error_ratio)],
    };
    queries.extend(slo.own.weight_query.iter().map(|weight| (Role::Weight, weight)));
    queries
}

impl Live {
    async fn look(&self, located: &LocatedSlo, windows: &PeriodWindows) -> (Vec<Diagnostic>, Option<Cost>) {
        if located.no_rules {
            return (Vec::new(), None);
        }
        let slo = &located.slo;
        let mut findings = Vec::new();
        let mut complete = true;
        for (role, query) in queries(slo) {
            match self.series_of(slo, role, query).await {
                Ok(found) => findings.extend(found),
                Err(error) => {
                    complete = false;
                    findings.push(unanswered(role.field(), &error));
                }
            }
        }
        // Values of series that do not exist are no news.
        if complete {
            match self.values(slo, windows).await {
                Ok(found) => findings.extend(found),
                Err(error) => findings.push(unanswered(Field::Sli, &error)),
            }
        }
        let cost = if complete { self.cost(slo, windows).await.ok().flatten() } else { None };
        (findings.into_iter().map(|finding| diagnose(located, finding)).collect(), cost)
    }

    /// Scrape interval that is stated for an SLO.
    fn scrape_interval(&self, slo: &Slo) -> PromDuration {
        slo.own.scrape_interval.unwrap_or(self.options.scrape_interval)
    }
}

fn unanswered(field: Field, error: &Error) -> Finding {
    let mut message = format!("a live check could not be made: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    finding(Severity::Error, "live-unanswered", field, message)
}

fn finding(severity: Severity, code: &'static str, field: Field, message: String) -> Finding {
    Finding { severity, code, field, offset: None, message, help: None }
}

/// `3d`, `1h30m`: a duration in its largest whole unit, for people.
fn shown(seconds: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of seconds"
    )]
    let ms = (seconds * 1_000.0).round() as u64;
    PromDuration::from_millis(if ms >= 10_000 { ms / 1_000 * 1_000 } else { ms }).to_string()
}
