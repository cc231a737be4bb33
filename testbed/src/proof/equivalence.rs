//! Both profiles over the same series: when does each page, when does it stop, and the law that `lean` never misses a
//! page of `sloth`.

use std::path::Path;

use anyhow::{Context, Result};
use slo_engine_core::{AlertWindow, PeriodWindows, Rule, RuleKind};

use super::incident::{Incident, SCRAPE};
use super::promtool::{Probe, Run};
use super::subject::{self, BUDGET, Profile};

const HOUR: u64 = 3600;
/// Evaluation interval in seconds.
pub const INTERVAL: u64 = 30;
/// A page of `sloth` counts for the law when it passes its threshold by this much.
const MARGIN: f64 = 1.02;

/// How much is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Page alert only: windows up to six hours.
    Page,
    /// Ticket too: a day and a half of history before the incident.
    Full,
}

/// When an alert fired, in seconds after the start of the incident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Firing {
    /// First evaluation that fired.
    pub from: f64,
    /// First evaluation after the last that fired.
    pub to: f64,
    /// Evaluations that fired.
    pub evaluations: f64,
}

/// What both profiles did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Heading.
    pub name: String,
    /// Page of `sloth` and of `lean`.
    pub page: [Option<Firing>; 2],
    /// Ticket of both; `None` too when not evaluated.
    pub ticket: [Option<Firing>; 2],
    /// Evaluations at which `sloth`'s page condition held by more than 2 % of its threshold while `lean` paged neither
    /// then nor one interval later. The law wants none.
    pub violations: f64,
}

/// Runs one incident.
///
/// # Errors
/// When promtool cannot run or refuses the rules.
pub fn run(promtool: &Path, incident: &Incident, depth: Depth) -> Result<Outcome> {
    // All page windows (and for tickets half of the three days) are covered before the incident starts.
    let (start, after) = match depth {
        Depth::Page => (6 * HOUR + 1200, 2 * HOUR),
        Depth::Full => (37 * HOUR, 8 * HOUR),
    };
    let end = (start + incident.length + after) / INTERVAL * INTERVAL;
    let targets = incident.targets(start, end);
    let windows = subject::windows()?;
    let mut groups = Vec::new();
    for profile in [Profile::Sloth, Profile::Lean] {
        let all = subject::rules(profile, &subject::slo(profile.service()))?;
        groups.extend(subject::only(all, |rule| needed(depth, rule)));
    }
    let series =
        targets.iter().enumerate().flat_map(|(index, target)| target.series(&format!("t{index}"), SCRAPE));
    let run =
        Run { promtool: promtool.to_owned(), groups, step: 1, interval: INTERVAL, series: series.collect() };
    let range = end - start;
    let mut exprs = Vec::new();
    for severity in ["page", "ticket"] {
        for profile in [Profile::Sloth, Profile::Lean] {
            let alert = firing(profile, severity);
            exprs.push(format!("min_over_time(timestamp({alert})[{range}s:{INTERVAL}s])"));
            exprs.push(format!("max_over_time(timestamp({alert})[{range}s:{INTERVAL}s])"));
            exprs.push(format!("count_over_time({alert}[{range}s:{INTERVAL}s])"));
        }
    }
    exprs.push(violation(&windows, range));
    let probes: Vec<Probe> = exprs.into_iter().map(|expr| Probe { expr, at: end }).collect();
    let values = run.read(&probes).with_context(|| incident.name.clone())?;
    #[expect(clippy::cast_precision_loss, reason = "a few days in seconds")]
    let (start, interval) = (start as f64, INTERVAL as f64);
    let mut firings = values.chunks_exact(3).map(|values| match values {
        [Some(first), Some(last), Some(count)] => {
            Some(Firing { from: first - start, to: last - start + interval, evaluations: *count })
        }
        _ => None,
    });
    let mut next = || firings.next().flatten();
    Ok(Outcome {
        name: incident.name.clone(),
        page: [next(), next()],
        ticket: [next(), next()],
        violations: values.last().copied().flatten().unwrap_or(0.0),
    })
}

/// What the alerts need: metadata and the period cost time and change nothing for them, nor do the ticket's windows for the
/// page.
fn needed(depth: Depth, rule: &Rule) -> bool {
    let label = |name: &str, values: &[&str]| {
        rule.labels.get(name).is_some_and(|label| values.contains(&label.as_str()))
    };
    let unused: &[&str] = if depth == Depth::Full { &["30d"] } else { &["2h", "1d", "3d", "30d"] };
    match rule.kind {
        RuleKind::Alert => label("sloth_severity", &["page"]) || depth == Depth::Full,
        RuleKind::Record => {
            let feeds_alerts = rule.name.contains("ratio_rate") || rule.name.contains("sli_events");
            feeds_alerts && !label("sloth_window", unused)
        }
    }
}

fn firing(profile: Profile, severity: &str) -> String {
    format!(
        "ALERTS{{alertstate=\"firing\",sloth_severity=\"{severity}\",sloth_service=\"{}\",alertname=\"Burning\"}}",
        profile.service()
    )
}

/// Counts the evaluations that break the law.
fn violation(windows: &PeriodWindows, range: u64) -> String {
    let above = |pair: AlertWindow, window| {
        let threshold = MARGIN * pair.factor(windows.period) * BUDGET;
        format!(
            "max without (sloth_window) (slo:sli_error:ratio_rate{window}{{sloth_service=\"sloth\"}} offset {INTERVAL}s > {threshold})"
        )
    };
    let pair = |pair: AlertWindow| format!("({} and {})", above(pair, pair.short), above(pair, pair.long));
    let lean = firing(Profile::Lean, "page");
    format!(
        "count_over_time((({} or {}) unless on() ({lean} or {lean} offset {INTERVAL}s))[{range}s:{INTERVAL}s])",
        pair(windows.page.quick),
        pair(windows.page.slow),
    )
}
