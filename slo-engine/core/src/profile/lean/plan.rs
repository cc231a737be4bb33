//! What the rules of one SLO are built from: windows, intervals and how each query counts.

use crate::duration::PromDuration;
use crate::finding::{Field, Finding, Severity};
use crate::promql::{Additive, Classification, classify};
use crate::slo::{NoData, Sli, Slo};
use crate::window::{AlertWindow, PeriodWindows};

/// Settings of the profile, the same for all SLOs of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct LeanOptions {
    /// Evaluation interval of the fast group; must divide the shortest window. `None` chooses 30 s, or a fifth of a
    /// shorter base window.
    pub interval: Option<PromDuration>,
    /// Evaluation interval of the slow group; a multiple of `interval`, at most 2 m. `None` chooses.
    pub slow_interval: Option<PromDuration>,
    /// Scrape interval of SLOs that do not state their own.
    pub scrape_interval: PromDuration,
    /// Link put on alerts; `{service}`, `{slo}` and `{id}` are replaced.
    pub dashboard_url: Option<String>,
    /// Value of `sloth_version`.
    pub version: String,
    /// Value of `sloth_mode`.
    pub mode: String,
    /// Alerts only.
    pub disable_recordings: bool,
    /// Recordings only.
    pub disable_alerts: bool,
    /// Share of an alert window that must have been observed before its ratio is recorded (0 to 1).
    pub min_coverage: f64,
}

impl Default for LeanOptions {
    fn default() -> Self {
        Self {
            interval: None,
            slow_interval: None,
            scrape_interval: PromDuration::from_secs(30),
            dashboard_url: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: "cli-gen-prom".to_owned(),
            disable_recordings: false,
            disable_alerts: false,
            min_coverage: 0.5,
        }
    }
}

/// How the events of a base window are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Error and total queries, both additive.
    Events {
        /// Error query.
        error: Additive,
        /// Total query.
        total: Additive,
    },
    /// Good and total queries, both additive.
    Good {
        /// Good query.
        good: Additive,
        /// Total query.
        total: Additive,
    },
    /// A ratio with an additive weight.
    Weighted {
        /// Weight query.
        weight: Additive,
    },
    /// Not counted: each window by the user's query.
    Direct,
}

/// Everything the rules of one SLO are written from.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// The SLO.
    pub slo: &'a Slo,
    /// Its alert windows.
    pub windows: &'a PeriodWindows,
    /// Settings.
    pub options: &'a LeanOptions,
    /// Shortest window.
    pub base: PromDuration,
    /// Interval of the fast group.
    pub interval: PromDuration,
    /// Interval of the slow group.
    pub slow_interval: PromDuration,
    /// Scrape interval behind the SLI.
    pub scrape: PromDuration,
    /// Page windows longer than the base, ascending.
    pub fast: Vec<PromDuration>,
    /// The other windows and the period, ascending.
    pub slow: Vec<PromDuration>,
    /// How the base is counted.
    pub counting: Counting,
}

/// Labels that the rules need for themselves.
const RESERVED: [&str; 5] = ["sloth_id", "sloth_service", "sloth_slo", "sloth_window", "sloth_event"];

const LOOK_BACK: PromDuration = PromDuration::from_secs(300);

impl<'a> Plan<'a> {
    /// `None` after an error finding.
    pub(crate) fn new(
        slo: &'a Slo,
        windows: &'a PeriodWindows,
        options: &'a LeanOptions,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        let page = pair(windows.page.quick, windows.page.slow);
        let ticket = pair(windows.ticket.quick, windows.ticket.slow);
        let base = page.iter().chain(&ticket).copied().min()?;
        let interval = options.interval.unwrap_or_else(|| default_interval(base));
        let slow_interval = options.slow_interval.unwrap_or_else(|| default_slow_interval(base, interval));
        check_intervals(base, interval, slow_interval, findings)?;
        let scrape = slo.own.scrape_interval.unwrap_or(options.scrape_interval);
        if scrape.is_zero() || !base.as_millis().is_multiple_of(scrape.as_millis()) {
            findings.push(finding(
                Severity::Warning,
                "scrape-interval",
                Field::Own("scrape_interval"),
                format!("the scrape interval {scrape} does not divide the shortest window {base}, so that counts are approximate"),
            ));
        }
        let sorted = |mut list: Vec<PromDuration>| {
            list.sort_unstable();
            list.dedup();
            list
        };
        let fast = sorted(page.iter().copied().filter(|window| *window != base).collect());
        let slow = sorted(
            ticket
                .iter()
                .copied()
                .chain([windows.period])
                .filter(|w| *w != base && !fast.contains(w))
                .collect(),
        );
        let counting = counting(slo, base, findings);
        check_labels(slo, findings);
        if counting == Counting::Direct && slo.own.min_events.is_some() {
            let message = "min_events is ignored: the events of this SLI are not counted".to_owned();
            findings.push(finding(Severity::Warning, "min-events", Field::Own("min_events"), message));
        }
        Some(Self { slo, windows, options, base, interval, slow_interval, scrape, fast, slow, counting })
    }
}

impl Plan<'_> {
    /// Idle base windows are counted with substituted events, so that what was observed is kept beside.
    pub(crate) fn counts_idle(&self) -> bool {
        self.counting != Counting::Direct && self.slo.own.no_data != NoData::Ignore
    }
}

fn check_labels(slo: &Slo, findings: &mut Vec<Finding>) {
    for name in RESERVED.iter().filter(|name| slo.labels.contains_key(**name)) {
        findings.push(finding(
            Severity::Warning,
            "reserved-label",
            Field::Label((*name).to_owned()),
            format!("the label {name} belongs to the rules themselves: yours is not written"),
        ));
    }
}

fn pair(quick: AlertWindow, slow: AlertWindow) -> [PromDuration; 4] {
    [quick.short, quick.long, slow.short, slow.long]
}

/// 30 s, or the longest whole second that fits a shorter base at least five times.
fn default_interval(base: PromDuration) -> PromDuration {
    let ms = base.as_millis();
    let usual = 30_000;
    if ms >= 5 * usual && ms.is_multiple_of(usual) {
        return PromDuration::from_millis(usual);
    }
    let most = (ms / 5).min(usual);
    let whole = (1..=most / 1_000).rev().map(|s| s * 1_000).find(|step| ms.is_multiple_of(*step));
    PromDuration::from_millis(whole.unwrap_or(ms))
}

/// Two fifths of the base: often enough to see every hole that is longer than the look-back.
fn default_slow_interval(base: PromDuration, interval: PromDuration) -> PromDuration {
    let most = (base.as_millis() * 2 / 5).min(120_000);
    PromDuration::from_millis((most / interval.as_millis().max(1)).max(1) * interval.as_millis())
}

fn check_intervals(
    base: PromDuration,
    interval: PromDuration,
    slow: PromDuration,
    findings: &mut Vec<Finding>,
) -> Option<()> {
    if interval.is_zero() || !base.as_millis().is_multiple_of(interval.as_millis()) {
        let fitting: Vec<String> = [5, 10, 15, 20, 30, 60, 75, 100, 150, 300]
            .map(PromDuration::from_secs)
            .iter()
            .filter(|step| base.as_millis().is_multiple_of(step.as_millis()) && **step <= base)
            .map(ToString::to_string)
            .collect();
        let mut bad = finding(
            Severity::Error,
            "interval",
            Field::Slo,
            format!("the evaluation interval {interval} does not divide the shortest window {base}"),
        );
        if !fitting.is_empty() {
            bad.help = Some(format!("one of {} would do", fitting.join(", ")));
        }
        findings.push(bad);
        return None;
    }
    if slow < interval || !slow.as_millis().is_multiple_of(interval.as_millis()) || slow.as_millis() > 120_000
    {
        findings.push(finding(
            Severity::Error,
            "slow-interval",
            Field::Slo,
            format!("the slow interval {slow} is no multiple of the interval {interval}, or longer than 2m"),
        ));
        return None;
    }
    if interval >= LOOK_BACK {
        findings.push(finding(
            Severity::Error,
            "interval",
            Field::Slo,
            format!("the evaluation interval {interval} is not shorter than the look-back of Prometheus, 5m"),
        ));
        return None;
    }
    Some(())
}

fn counting(slo: &Slo, base: PromDuration, findings: &mut Vec<Finding>) -> Counting {
    let mut additive = |query: &str, field: Field| match classify(query, base) {
        Classification::Additive(additive) => Some(additive),
        Classification::Direct { reason } => {
            findings.push(not_counted(field, reason));
            None
        }
    };
    match &slo.sli {
        Sli::Events { error, total } => {
            let parts = (additive(&error.0, Field::ErrorQuery), additive(&total.0, Field::TotalQuery));
            let (Some(error), Some(total)) = parts else { return Counting::Direct };
            if error.class.unit() == total.class.unit() {
                return Counting::Events { error, total };
            }
        }
        Sli::GoodTotal { good, total } => {
            let parts = (additive(&good.0, Field::GoodQuery), additive(&total.0, Field::TotalQuery));
            let (Some(good), Some(total)) = parts else { return Counting::Direct };
            if good.class.unit() == total.class.unit() {
                return Counting::Good { good, total };
            }
        }
        Sli::Raw { .. } => {
            let Some(weight) = &slo.own.weight_query else {
                let reason = "a ready ratio holds no events; `weight_query` would tell how many".to_owned();
                findings.push(not_counted(Field::RatioQuery, reason));
                return Counting::Direct;
            };
            return additive(&weight.0, Field::WeightQuery)
                .map_or(Counting::Direct, |weight| Counting::Weighted { weight });
        }
    }
    findings.push(not_counted(Field::Sli, "one query is per second and the other per window".to_owned()));
    Counting::Direct
}

fn not_counted(field: Field, reason: String) -> Finding {
    finding(
        Severity::Note,
        "not-counted",
        field,
        format!("computed directly over each window, as Sloth does: {reason}"),
    )
}

pub(super) fn finding(severity: Severity, code: &'static str, field: Field, message: String) -> Finding {
    Finding { severity, code, field, offset: None, message, help: None }
}
