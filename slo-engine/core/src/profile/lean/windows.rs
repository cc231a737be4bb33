//! Windows longer than the base: differences of two look-ups of the running count.

use super::plan::Counting;
use super::{BORN, HELD, PAST, Plan, TALLY, WINDOW, direct, ratio_record, record};
use crate::PromDuration;
use crate::rule::Rule;

/// Longer windows than this get one more rung: a hole is then less likely to be the latest.
const LONG: PromDuration = PromDuration::from_secs(6 * 3600);
const RUNG: u64 = 30 * 60 * 1000;
/// A window that saw more than this share of itself and a base window (which a birth may see before it) reached behind its start: it is not that window.
const TOO_MUCH: f64 = 1.1;

/// Events and ratio of one window.
pub(super) fn rules(plan: &Plan<'_>, window: PromDuration) -> Vec<Rule> {
    let is_period = window == plan.windows.period;
    let fits = window.as_millis() % plan.base.as_millis() == 0;
    if !is_period && (plan.counting == Counting::Direct || !fits) {
        let ratio = record(ratio_record(window), direct::ratio(plan, window), plan.window_labels(window));
        return direct::total(plan, window).into_iter().chain([ratio]).collect();
    }
    // Only a whole number of base windows leads back to the same chain of the count.
    let back = PromDuration::from_millis(window.as_millis() / plan.base.as_millis() * plan.base.as_millis());
    let count = plan.series(TALLY, "");
    let seconds = window.as_secs_f64();
    // A query that reads both now and long ago opens every block between for each of its selectors: far look-ups stand alone.
    let far = (window > LONG).then(|| {
        let rung = PromDuration::from_millis(back.as_millis() + RUNG);
        let past = format!("{count} offset {back} or {count} offset {rung}");
        record(format!("{PAST}{window}"), past, plan.id_label())
    });
    let past = far.as_ref().map_or_else(|| format!("{count} offset {back}"), |rule| plan.series(&rule.name, ""));
    // The past of a count younger than the window is zero; the last one before a hole is the past of the whole hole.
    let events = format!(
        "clamp_min({count} - (({past} or {held}) and on(sloth_id) ({born} <= time() - {seconds}) or 0 * {count}), 0)",
        held = plan.series(HELD, ""),
        born = plan.series(BORN, ""),
    );
    let mut labels = plan.id_label();
    labels.insert("sloth_window".to_owned(), window.to_string());
    let of = |event: &str| plan.series(WINDOW, &format!("sloth_window=\"{window}\",sloth_event=\"{event}\""));
    let (least, most) = bounds(plan, window);
    let ratio = format!(
        "{} / ignoring(sloth_event) ({} > 0) and ignoring(sloth_event) ({} >= {least} <= {most})",
        of("error"),
        of("total"),
        of("covered"),
    );
    far.into_iter()
        .chain([
            record(WINDOW.to_owned(), events, labels),
            record(ratio_record(window), ratio, plan.window_labels(window)),
        ])
        .collect()
}

/// How many seconds of a window must have been seen, and may have been, for its ratio to be recorded.
pub(crate) fn bounds(plan: &Plan<'_>, window: PromDuration) -> (f64, f64) {
    let seconds = window.as_secs_f64();
    // The period's ratio is shown from the first day; its share observed stands beside it.
    let least = if window == plan.windows.period { 0.0 } else { plan.options.min_coverage * seconds };
    (least, (seconds * TOO_MUCH + plan.base.as_secs_f64()).ceil())
}
