//! The base window: the only rules that read raw series of a counted SLI.

use super::plan::Counting;
use super::{Plan, TALLY, direct, ratio_record, record};
use crate::promql::{Additive, base_count, drop_idle_filter, stretched, with_window, wrap};
use crate::rule::Rule;
use crate::slo::{NoData, Query, Sli};

/// Matches a user's series with one of ours.
pub(super) const IDENTITY: &str = "ignoring(sloth_id,sloth_service,sloth_slo,sloth_event)";

/// Events of the base window by kind (`observed` first where idle windows mean something), and its ratio.
pub(super) fn rules(plan: &Plan<'_>) -> Vec<Rule> {
    let name = plan.increase();
    let kind = |event: &str, expr: String| record(name.clone(), expr, plan.event_labels(event));
    let (total, error, covered) =
        (plan.increase_of("total"), plan.increase_of("error"), plan.increase_of("covered"));
    let base = plan.base.as_secs_f64();
    let mut rules = match counted(plan) {
        Some((count, errors)) => {
            // Drops NaN, infinities and negatives: once added they would stay for ever.
            let count = format!("{count} >= 0 < Inf");
            let substitutes = plan.counts_idle();
            let mut rules = Vec::new();
            if substitutes {
                rules.push(kind("observed", count));
                rules.push(kind("total", with_idle(plan)));
            } else {
                rules.push(kind("total", count));
            }
            rules.push(kind("error", errors));
            // Where both are numbers.
            let both = plan.series(&name, "sloth_event=~\"error|total\"");
            let covered = format!("{} * (count without(sloth_event) ({both}) == 2)", base / 2.0);
            rules.push(kind("covered", covered));
            rules
        }
        None => {
            // Time instead of events: seconds of the base window, bad ones by the ratio.
            let mut rules = Vec::new();
            rules.extend(direct::total(plan, plan.base));
            rules.push(kind("error", format!("({}) * {base}", direct::ratio(plan, plan.base))));
            rules.push(kind("total", format!("0 * {error} + {base}")));
            let idle = direct::idle(plan, plan.base).map(|idle| format!(" or {IDENTITY} {idle} * {base}"));
            rules.push(kind("covered", format!("0 * {error} + {base}{}", idle.unwrap_or_default())));
            rules
        }
    };
    // Only where both were seen: an error that is not a number leaves the window unobserved.
    let ratio = match plan.counting {
        Counting::Direct => format!("{error} / ignoring(sloth_event) {covered}"),
        _ => format!("{error} / ignoring(sloth_event) ({total} > 0)"),
    };
    rules.push(record(ratio_record(plan.base), ratio, plan.window_labels(plan.base)));
    rules
}

/// Total and error of the base window, `None` where the SLI is not counted.
fn counted(plan: &Plan<'_>) -> Option<(String, String)> {
    let total = plan.increase_of("total");
    let count = |query: &Query, how: &Additive| {
        base_count(drop_idle_filter(&query.0), how.class, plan.base, plan.scrape)
    };
    // What was seen, not what stands in for it.
    let seen = if plan.counts_idle() { plan.increase_of("observed") } else { total.clone() };
    let zero = format!("or {IDENTITY} 0 * {total}");
    // Idle windows that count as bad.
    let idle = if plan.slo.own.no_data == NoData::Bad {
        format!("{total} and ignoring(sloth_event) {seen} == 0 or {IDENTITY} ")
    } else {
        String::new()
    };
    match (&plan.slo.sli, &plan.counting) {
        (Sli::Events { error, total: all }, Counting::Events { error: how, total: how_all }) => {
            let zero = if how.absent_is_zero { format!(" {zero}") } else { String::new() };
            let error = count(error, how);
            Some((count(all, how_all), format!("clamp_min({idle}{error}{zero}, 0) < Inf")))
        }
        (Sli::GoodTotal { good, total: all }, Counting::Good { good: how, total: how_all }) => {
            let good = count(good, how);
            let error = format!("{seen} - {IDENTITY} ({good} {zero})");
            Some((count(all, how_all), format!("clamp_min({idle}{error}, 0) < Inf")))
        }
        (Sli::Raw { error_ratio }, Counting::Weighted { weight }) => {
            let query = plan.slo.own.weight_query.as_ref()?;
            let ratio = wrap(&with_window(&error_ratio.0, stretched(plan.base, plan.scrape)));
            // No weight, no error, whatever the ratio; a missing ratio with weight stays missing.
            let error =
                format!("clamp({ratio}, 0, 1) * {IDENTITY} {total} < Inf or {IDENTITY} 0 * ({seen} == 0)");
            Some((count(query, weight), format!("{idle}{error}")))
        }
        _ => None,
    }
}

/// Observed events; an idle base window counts like the mean one so far, or one event when there never was any.
fn with_idle(plan: &Plan<'_>) -> String {
    let observed = plan.increase_of("observed");
    let tally = |event: &str| plan.series(TALLY, &format!("sloth_event=\"{event}\""));
    format!(
        "{observed} > 0 or ignoring(sloth_event) ({} / ignoring(sloth_event) {} * {} > 0 or ignoring(sloth_event) \
         0 * {observed} + 1) and ignoring(sloth_event) {observed} == 0",
        tally("total"),
        tally("covered"),
        plan.base.as_secs_f64(),
    )
}
