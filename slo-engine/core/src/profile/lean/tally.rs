//! The running count and what is remembered across holes.

use super::{BORN, HELD, Plan, RECOVERED, TALLY, record};
use crate::PromDuration;
use crate::rule::Rule;

/// How far back the slow group looks for a count before a hole.
const REACH: &str = "6h:5m";
/// A little further, so that a count which is found always has its birth found too.
const REACH_BORN: &str = "6h30m:5m";
const LOOK_BACK_MS: u64 = 300_000;

/// One rule for all kinds of events. What it adds to, first found first taken:
///
/// 1. the count exactly one base window ago: exact;
/// 2. the count before a hole longer than the look-back: the base window holds everything since;
/// 3. the count of the last evaluation, less what of the base window was counted already (first base window after a birth
///    or a missed evaluation);
/// 4. the count before a hole only a little longer than the look-back;
/// 5. nothing, at birth: once the slow group has looked for a past.
///
/// Without events to add the count is held. Only kinds of a base window that is covered are added.
pub(super) fn tally(plan: &Plan<'_>) -> Rule {
    let count = plan.series(TALLY, "");
    let increase = plan.series(&plan.increase(), "");
    let covered = plan.increase_of("covered");
    let base = plan.base;
    let strict = PromDuration::from_millis(plan.interval.as_millis().saturating_sub(1));
    let counted = 1.0 - plan.interval.as_secs_f64() / base.as_secs_f64();
    let expr = format!(
        "(last_over_time({count}[{strict}] offset {base}) or {recovered} or {count} - {counted} * {increase} or \
         {count} offset {base} or 0 * {increase} and on(sloth_id) {born}) + ({increase} and ignoring(sloth_event) {covered}) or {count}",
        recovered = plan.series(RECOVERED, ""),
        born = plan.series(BORN, ""),
    );
    record(TALLY.to_owned(), expr, plan.id_label())
}

/// What the slow group remembers, in this order: a birth is allowed only after the past was looked for.
pub(super) fn memory(plan: &Plan<'_>) -> Vec<Rule> {
    let count = plan.series(TALLY, "");
    let (recovered, held, born) = (plan.series(RECOVERED, ""), plan.series(HELD, ""), plan.series(BORN, ""));
    let base = plan.base;
    // Shorter than the look-back by one slow interval, so that no hole slips between two evaluations.
    let short = PromDuration::from_millis(LOOK_BACK_MS.saturating_sub(plan.slow_interval.as_millis()));
    vec![
        record(
            RECOVERED.to_owned(),
            format!("last_over_time({count}[{REACH}] offset {base}) unless {count} offset {base}"),
            plan.id_label(),
        ),
        record(
            HELD.to_owned(),
            format!(
                "{recovered} or ({count} offset {base} unless last_over_time({count}[{short}] offset {base})) or {held}"
            ),
            plan.id_label(),
        ),
        record(
            BORN.to_owned(),
            format!("{born} or last_over_time({born}[{REACH_BORN}]) or on() vector(time())"),
            plan.identity(),
        ),
    ]
}
