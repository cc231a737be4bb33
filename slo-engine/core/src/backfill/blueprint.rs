//! What to ask for, and which records follow from the answers.

use std::collections::BTreeMap;

use crate::duration::PromDuration;
use crate::finding::Severity;
use crate::profile::lean::windows::{bounds, is_counted};
use crate::profile::lean::{
    self, BORN, Counting, DIRECT, HELD, LeanOptions, Plan, RECOVERED, TALLY, WINDOW, ratio_record,
};
use crate::rule::{Rule, RuleKind};
use crate::slo::{NoData, Slo};
use crate::window::PeriodWindows;

/// The longest gap between two samples that an instant look-up bridges.
const LOOK_BACK: PromDuration = PromDuration::from_secs(300);

/// Why an SLO's past cannot be counted: lower case, no full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotBackfillable(pub String);

/// Everything that is needed to write one SLO's past.
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    /// `sloth_id`.
    pub id: String,
    /// Events of one base window, as the rules count them; no record of ours is read. `None` where the seconds of bad
    /// ratios are counted: the total is then the base window wherever the error is known.
    pub total_query: Option<String>,
    /// Bad events of one base window.
    pub error_query: String,
    /// What a base window without events counts as.
    pub(super) idle: NoData,
    /// Evaluation interval of the rules: the step of the two queries and of the recent part of the count.
    pub interval: PromDuration,
    /// The base window.
    pub base: PromDuration,
    /// Length of the error budget period.
    pub period: PromDuration,
    /// How much of the end the count needs at every interval: the longest alert window, looked back at from a moment
    /// soon after the end, and one base window for good measure. Before that, the period alone looks, and a
    /// [`coarse`](Self::coarse) step is exact to that step over the period.
    pub fine: PromDuration,
    /// Step of all other samples.
    pub coarse: PromDuration,
    /// What is written.
    pub records: Vec<Record>,
}

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Metric name.
    pub name: String,
    /// Labels that the rules set; over those of the query's result.
    pub labels: BTreeMap<String, String>,
    pub(super) what: What,
}

/// Events of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Total,
    Error,
    Covered,
}

const EVENTS: [(Event, &str); 3] =
    [(Event::Total, "total"), (Event::Error, "error"), (Event::Covered, "covered")];

/// How a record's value follows from the counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    Increase(Event),
    Tally(Event),
    Born,
    Ratio(Ratio),
    /// Ratio over budget, or over none.
    Burn {
        ratio: Ratio,
        budget: f64,
    },
    /// One less the burn.
    Remaining {
        ratio: Ratio,
        budget: f64,
    },
    Constant(f64),
}

/// Errors over total of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ratio {
    Base,
    /// With the bounds on covered seconds outside of which the ratio is withheld.
    Window {
        window: PromDuration,
        least: f64,
        most: f64,
    },
}

impl Record {
    /// True for the count itself, which the rules look back at.
    #[must_use]
    pub fn is_count(&self) -> bool {
        matches!(self.what, What::Tally(_))
    }

    /// True for what graphs and people read, and the rules do not.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        !matches!(self.what, What::Tally(_) | What::Born)
    }

    /// True when its value is the same for all series of the query's result, whose labels it does not carry.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        matches!(self.what, What::Constant(_) | What::Born)
    }
}

impl Blueprint {
    /// Reads the SLO's rules.
    ///
    /// # Errors
    /// When they are none, or not counted.
    pub fn new(slo: &Slo, windows: &PeriodWindows, options: &LeanOptions) -> Result<Self, NotBackfillable> {
        let mut findings = Vec::new();
        let plan = Plan::new(slo, windows, options, &mut findings);
        let worst = findings.iter().find(|finding| finding.severity == Severity::Error);
        let Some(plan) = plan.filter(|_| worst.is_none()) else {
            return Err(NotBackfillable(
                worst.map_or_else(|| "it has no rules".to_owned(), |f| f.message.clone()),
            ));
        };
        let (groups, _) =
            lean::rules(slo, windows, &LeanOptions { disable_recordings: false, ..options.clone() });
        let rules: Vec<&Rule> = groups
            .iter()
            .flat_map(|group| &group.rules)
            .filter(|rule| rule.kind == RuleKind::Record)
            .collect();
        let (total_query, error_query) = queries(&plan, &rules).ok_or_else(|| {
            NotBackfillable("its base window depends on what the rules recorded before".to_owned())
        })?;
        let longest = plan.fast.iter().chain(&plan.slow).filter(|window| **window != windows.period).max();
        let fine = longest.map_or(plan.base, |window| *window).as_millis()
            + plan.base.as_millis()
            + LOOK_BACK.as_millis();
        let coarse = if plan.base <= LOOK_BACK { plan.base } else { plan.interval };
        Ok(Self {
            id: slo.id.clone(),
            total_query,
            error_query,
            idle: if plan.counts_idle() { slo.own.no_data } else { NoData::Ignore },
            interval: plan.interval,
            base: plan.base,
            period: windows.period,
            fine: PromDuration::from_millis(fine),
            coarse,
            records: rules.iter().flat_map(|rule| records(&plan, rule)).collect(),
        })
    }
}

/// Total and error of the base window, with references to records written out as their expressions. Idle windows stay
/// zero here: what they count as depends on the count.
fn queries(plan: &Plan<'_>, rules: &[&Rule]) -> Option<(Option<String>, String)> {
    let labelled = |name: &str, label: &str, value: &str| {
        rules
            .iter()
            .find(|rule| rule.name == name && rule.labels.get(label).is_some_and(|found| found == value))
            .map(|rule| rule.expr.as_str())
    };
    let increase = |event: &str| labelled(&plan.increase(), "sloth_event", event);
    let observed = increase("observed").or_else(|| increase("total"))?;
    let error = increase("error")?;
    let base = plan.base.to_string();
    let direct = labelled(DIRECT, "sloth_window", &base).unwrap_or_default();
    let error = error
        .replace(&plan.series(DIRECT, &format!("sloth_window=\"{base}\"")), &format!("({direct})"))
        .replace(&plan.increase_of("total"), &format!("({observed})"))
        .replace(&plan.increase_of("observed"), &format!("({observed})"));
    let total = (plan.counting != Counting::Direct).then(|| observed.to_owned());
    let pure = |query: &String| !query.contains("slo:sli_events:") && !query.contains("slo:sli_direct:");
    (pure(&error) && total.as_ref().is_none_or(pure)).then_some((total, error))
}

fn records(plan: &Plan<'_>, rule: &Rule) -> Vec<Record> {
    let record = |what| Record { name: rule.name.clone(), labels: rule.labels.clone(), what };
    let with = |labels: BTreeMap<String, String>, what| Record { name: rule.name.clone(), labels, what };
    let event = |labels: &BTreeMap<String, String>| {
        let name = labels.get("sloth_event")?;
        EVENTS.iter().find(|(_, known)| known == name).map(|(event, _)| *event)
    };
    let ratio = |window: PromDuration| ratio(plan, window);
    let budget = if plan.slo.objective >= 100.0 { 0.0 } else { 1.0 - plan.slo.objective / 100.0 };
    let days = plan.windows.period.as_hours_f64() / 24.0;
    let period = plan.windows.period;
    // These inherit the label from the ratio they divide, as they do in Sloth's rules.
    let windowed = |window: PromDuration| {
        let mut labels = rule.labels.clone();
        labels.insert("sloth_window".to_owned(), window.to_string());
        labels
    };
    match rule.name.as_str() {
        TALLY => EVENTS
            .iter()
            .map(|(event, name)| {
                let mut labels = plan.identity();
                labels.insert("sloth_event".to_owned(), (*name).to_owned());
                with(labels, What::Tally(*event))
            })
            .collect(),
        BORN => vec![record(What::Born)],
        // What a hole leaves behind, and a step on the way to a ratio: of no use later.
        RECOVERED | HELD | WINDOW => Vec::new(),
        "slo:objective:ratio" => vec![record(What::Constant(plan.slo.objective / 100.0))],
        "slo:error_budget:ratio" => vec![record(What::Constant(1.0 - plan.slo.objective / 100.0))],
        "slo:time_period:days" => vec![record(What::Constant(days))],
        "sloth_slo_info" => vec![record(What::Constant(1.0))],
        "slo:current_burn_rate:ratio" => {
            let window = plan.windows.page.quick.short;
            vec![with(windowed(window), What::Burn { ratio: ratio(window), budget })]
        }
        "slo:period_burn_rate:ratio" => {
            vec![with(windowed(period), What::Burn { ratio: ratio(period), budget })]
        }
        "slo:period_error_budget_remaining:ratio" => {
            vec![with(windowed(period), What::Remaining { ratio: ratio(period), budget })]
        }
        name if name == plan.increase() => {
            event(&rule.labels).map(|kind| record(What::Increase(kind))).into_iter().collect()
        }
        // A window that the rules read directly from raw series has its past there; its cost is not spent again.
        name => [plan.base]
            .iter()
            .chain(&plan.fast)
            .chain(&plan.slow)
            .find(|window| {
                ratio_record(**window) == name && (**window == plan.base || is_counted(plan, **window))
            })
            .map(|window| record(What::Ratio(ratio(*window))))
            .into_iter()
            .collect(),
    }
}

fn ratio(plan: &Plan<'_>, window: PromDuration) -> Ratio {
    if window == plan.base {
        return Ratio::Base;
    }
    let (least, most) = bounds(plan, window);
    // As the rules: only a whole number of base windows leads back to the same chain of the count.
    let window =
        PromDuration::from_millis(window.as_millis() / plan.base.as_millis() * plan.base.as_millis());
    Ratio::Window { window, least, most }
}
