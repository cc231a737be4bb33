//! Profile `lean`: Sloth's record and label names over counted events.
//!
//! Raw series are read over the base window only; every longer window is the difference of two look-ups of a running
//! count (`docs/lean.md` and ADR 3 hold the scheme, its states and its figures).
//!
//! ```text
//! fast group (interval I)   increase5m{total,error,covered} -> tally -> window, ratio of the page windows -> page
//! slow group (interval S)   recovered, held, born (what was before a hole) -> the other windows -> ticket, missing data
//! meta group (interval S)   objective, budget, burn rates, info
//! ```

mod alerts;
mod base;
mod direct;
mod metadata;
mod names;
mod plan;
mod tally;
pub(crate) mod windows;

use std::collections::BTreeMap;

pub use names::{BORN, DIRECT, FLOOR, HELD, INCREASE, PAST, RECOVERED, TALLY, WINDOW, ratio_record};
pub use plan::{Counting, LeanOptions, Plan};

use crate::finding::{Finding, Severity};
use crate::rule::{Rule, RuleGroup, RuleKind};
use crate::slo::Slo;
use crate::window::PeriodWindows;

/// Mimir's default limit of rules per group, less one.
const MAX_RULES: usize = 19;

/// The rules of one SLO, and what its author should know about them (which queries are not counted, and why).
///
/// No rules are returned when a finding is an error.
#[must_use]
pub fn rules(slo: &Slo, windows: &PeriodWindows, options: &LeanOptions) -> (Vec<RuleGroup>, Vec<Finding>) {
    let mut findings = Vec::new();
    let Some(plan) = Plan::new(slo, windows, options, &mut findings) else {
        return (Vec::new(), findings);
    };
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return (Vec::new(), findings);
    }
    let (mut fast, mut slow, mut meta) = (Vec::new(), Vec::new(), Vec::new());
    if !options.disable_recordings {
        fast.extend(base::rules(&plan));
        fast.push(tally::tally(&plan));
        fast.extend(windows::rules(&plan, &plan.fast, &["sloth_id"]));
        slow.extend(tally::memory(&plan));
        slow.extend(windows::floor(&plan));
        slow.extend(windows::rules(&plan, &plan.slow, &["sloth_id", "sloth_slo"]));
        meta = metadata::rules(&plan);
    }
    if !options.disable_alerts {
        fast.extend(alerts::page(&plan));
        slow.extend(alerts::ticket(&plan));
        slow.extend(alerts::missing_data(&plan));
    }
    let mut groups = Vec::new();
    for (name, interval, rules) in [
        ("fast", plan.interval, fast),
        ("slow", plan.slow_interval, slow),
        ("meta", plan.slow_interval, meta),
    ] {
        for (index, part) in rules.chunks(MAX_RULES).enumerate() {
            let suffix = if index == 0 { String::new() } else { format!("-{}", index + 1) };
            groups.push(RuleGroup {
                name: format!("slo-{name}{suffix}-{}", slo.id),
                interval: Some(interval),
                rules: part.to_vec(),
            });
        }
    }
    (groups, findings)
}

fn record(name: String, expr: String, labels: BTreeMap<String, String>) -> Rule {
    Rule { kind: RuleKind::Record, name, expr, hold: None, labels, annotations: BTreeMap::new() }
}
