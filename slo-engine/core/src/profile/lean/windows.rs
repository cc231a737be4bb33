//! Windows longer than the base: differences of two look-ups of the running count.
//!
//! A query costs Prometheus what its oldest and newest look-up lie apart, for every look-up in it: each block between is
//! opened for each. So one rule per far window fetches the past alone, and one rule per group takes all differences near
//! the present.

use super::plan::Counting;
use super::{BORN, FLOOR, HELD, PAST, Plan, TALLY, WINDOW, direct, ratio_record, record};
use crate::PromDuration;
use crate::rule::Rule;

/// Up to here the past is in the block that is still in memory, as is the present.
const NEAR: PromDuration = PromDuration::from_secs(3600);
/// Farther than this a count may be of an older epoch, and a hole is less likely to be the latest.
const FAR: PromDuration = PromDuration::from_secs(6 * 3600);
const RUNG: u64 = 30 * 60 * 1000;
/// A window that saw more than this share of itself (and a base window, which a birth may see before it) reached behind
/// its start: it is not that window.
const TOO_MUCH: f64 = 1.1;

/// Events and ratios of the windows of one group. `labels` names those of the identity that are written out: the result
/// carries them all, and the rules of the two groups must not look the same.
pub(super) fn rules(plan: &Plan<'_>, windows: &[PromDuration], labels: &[&str]) -> Vec<Rule> {
    let (counted, direct): (Vec<PromDuration>, Vec<PromDuration>) =
        windows.iter().copied().partition(|window| is_counted(plan, *window));
    let split = counted.iter().filter(|window| **window > NEAR);
    let mut rules: Vec<Rule> = split.map(|window| past_rule(plan, *window)).collect();
    if !counted.is_empty() {
        let names: Vec<String> = counted.iter().map(ToString::to_string).collect();
        let mut past: Vec<String> = counted.iter().map(|window| past(plan, *window)).collect();
        past.push(plan.series(FLOOR, &format!("sloth_window=~\"{}\"", names.join("|"))));
        let expr = format!(
            "clamp_min({} - ignoring(sloth_window) group_right() ({}), 0)",
            plan.series(TALLY, ""),
            past.join(" or ")
        );
        let mut identity = plan.identity();
        identity.retain(|name, _| labels.contains(&name.as_str()));
        rules.push(record(WINDOW.to_owned(), expr, identity));
    }
    rules.extend(counted.iter().map(|window| ratio(plan, *window)));
    for window in direct {
        rules.extend(direct::total(plan, window));
        rules.push(record(ratio_record(window), direct::ratio(plan, window), plan.window_labels(window)));
    }
    rules
}

/// What the count was at the start of each window where it was not recorded then: zero before the birth, else the last one
/// before the hole that the start lies in.
pub(super) fn floor(plan: &Plan<'_>) -> Option<Rule> {
    let (held, born) = (plan.series(HELD, ""), plan.series(BORN, ""));
    let of = |window: &PromDuration| {
        let known =
            format!("{held} * on(sloth_id) group_left() ({born} <= bool time() - {})", window.as_secs_f64());
        labelled(&known, *window)
    };
    let windows: Vec<String> =
        plan.fast.iter().chain(&plan.slow).filter(|window| is_counted(plan, **window)).map(of).collect();
    (!windows.is_empty()).then(|| record(FLOOR.to_owned(), windows.join(" or "), plan.id_label()))
}

fn labelled(what: &str, window: PromDuration) -> String {
    format!("label_replace({what}, \"sloth_window\", \"{window}\", \"\", \"\")")
}

/// Windows of a query that is not counted, and those that are no multiple of the base, are read directly; the period always
/// is a difference of counts.
pub(crate) fn is_counted(plan: &Plan<'_>, window: PromDuration) -> bool {
    let fits = window.as_millis().is_multiple_of(plan.base.as_millis());
    window == plan.windows.period || (fits && plan.counting != Counting::Direct)
}

/// Only a whole number of base windows leads back to the same chain of the count.
fn back(plan: &Plan<'_>, window: PromDuration) -> u64 {
    window.as_millis() / plan.base.as_millis() * plan.base.as_millis()
}

/// The count at the start of a window, if it is there; for the longest also half an hour earlier.
fn past_rule(plan: &Plan<'_>, window: PromDuration) -> Rule {
    let count = plan.series(TALLY, "");
    let back = back(plan, window);
    let mut labels = plan.id_label();
    labels.insert("sloth_window".to_owned(), window.to_string());
    let mut expr = format!("{count} offset {}", PromDuration::from_millis(back));
    if window > FAR {
        expr.push_str(&format!(" or {count} offset {}", PromDuration::from_millis(back + RUNG)));
    }
    record(PAST.to_owned(), expr, labels)
}

/// The recorded count at the start of a window.
fn past(plan: &Plan<'_>, window: PromDuration) -> String {
    let past = plan.series(PAST, &format!("sloth_window=\"{window}\""));
    if window > FAR {
        // An older epoch counts from another zero.
        format!("({past} and on(sloth_id) {} <= time() - {})", plan.series(BORN, ""), window.as_secs_f64())
    } else if window > NEAR {
        past
    } else {
        let count = plan.series(TALLY, "");
        labelled(&format!("{count} offset {}", PromDuration::from_millis(back(plan, window))), window)
    }
}

fn ratio(plan: &Plan<'_>, window: PromDuration) -> Rule {
    let of = |event: &str| plan.series(WINDOW, &format!("sloth_window=\"{window}\",sloth_event=\"{event}\""));
    let (least, most) = bounds(plan, window);
    let expr = format!(
        "{} / ignoring(sloth_event) ({} > 0) and ignoring(sloth_event) ({} >= {least} <= {most})",
        of("error"),
        of("total"),
        of("covered"),
    );
    record(ratio_record(window), expr, plan.window_labels(window))
}

/// How many seconds of a window must have been seen, and may have been, for its ratio to be recorded.
pub(crate) fn bounds(plan: &Plan<'_>, window: PromDuration) -> (f64, f64) {
    let seconds = window.as_secs_f64();
    // The period's ratio is shown from the first day; its share observed stands beside it.
    let least = if window == plan.windows.period { 0.0 } else { plan.options.min_coverage * seconds };
    (least, (seconds * TOO_MUCH + plan.base.as_secs_f64()).ceil())
}
