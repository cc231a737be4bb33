//! The running count and what is remembered across holes.

use super::{BORN, HELD, Plan, RECOVERED, TALLY, record};
use crate::PromDuration;
use crate::rule::Rule;

/// How far back the slow group looks for a count before a hole.
const REACH: &str = "6h:5m";
/// A little further, so that a count which is found always has its birth found too.
const REACH_BORN: &str = "6h30m:5m";
/// Two slow intervals and the look-back, which a hole may take out.
const REACH_HELD: &str = "10m";

/// One rule for all kinds of events. What it adds to, first found first taken:
///
/// 1. the count exactly one base window ago: exact;
/// 2. what the slow group recovered: the count before a hole, or zero at birth. The base window holds everything since;
/// 3. the count of the last evaluation, less what of the base window was counted already (after a missed evaluation).
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
        "(last_over_time({count}[{strict}] offset {base}) or {recovered} or {count} - {counted} * {increase}) + \
         ({increase} and ignoring(sloth_event) {covered}) or {count}",
        recovered = plan.series(RECOVERED, ""),
    );
    record(TALLY.to_owned(), expr, plan.id_label())
}

/// What the slow group remembers. Nothing is counted before it has looked for a past, in one expression: a birth is a past
/// that was not found.
///
/// - recovered: for one base window after a hole, the count before it; after a birth, zero. A hole only a little longer
///   than the look-back still shows its start one base window ago, but no count now.
/// - held: the count before the latest hole, for look-ups that fall into it; zero before any.
/// - born: since when the count goes on. A hole beyond reach begins a new one.
pub(super) fn memory(plan: &Plan<'_>) -> Vec<Rule> {
    let count = plan.series(TALLY, "");
    let increase = plan.series(&plan.increase(), "");
    let (recovered, held, born) = (plan.series(RECOVERED, ""), plan.series(HELD, ""), plan.series(BORN, ""));
    let ago = format!("{count} offset {}", plan.base);
    vec![
        record(
            RECOVERED.to_owned(),
            format!(
                "(last_over_time({count}[{REACH}] offset {}) or 0 * {increase}) unless {ago} or ({ago} unless {count})",
                plan.base
            ),
            plan.id_label(),
        ),
        record(
            HELD.to_owned(),
            format!("{recovered} or last_over_time({held}[{REACH_HELD}]) or 0 * {count}"),
            plan.id_label(),
        ),
        record(
            BORN.to_owned(),
            format!("{born} or last_over_time({born}[{REACH_BORN}]) or on() vector(time())"),
            plan.identity(),
        ),
    ]
}
