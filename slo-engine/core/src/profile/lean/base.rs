//! The base window: the only rules that read raw series.

use super::plan::Counting;
use super::{Plan, ratio_record, record};
use crate::promql::base_count;
use crate::rule::Rule;
use crate::slo::Sli;

/// Matches a user's series with one of ours.
const IDENTITY: &str = "ignoring(sloth_id,sloth_service,sloth_slo,sloth_event)";

/// Total, error and covered events of the base window, and its ratio.
pub(super) fn rules(plan: &Plan<'_>) -> Vec<Rule> {
    let total_ref = plan.increase_of("total");
    let error_ref = plan.increase_of("error");
    let (total, error) = match (&plan.slo.sli, &plan.counting) {
        (Sli::Events { error, total }, Counting::Events { error: error_class, total: total_class }) => {
            let total = base_count(&total.0, total_class.class, plan.base, plan.scrape);
            let error = base_count(&error.0, error_class.class, plan.base, plan.scrape);
            if error_class.absent_is_zero {
                (total, format!("clamp_min({error} or {IDENTITY} 0 * {total_ref}, 0) < Inf"))
            } else {
                (total, format!("clamp_min({error}, 0) < Inf"))
            }
        }
        (Sli::GoodTotal { good, total }, Counting::Good { good: good_class, total: total_class }) => {
            let total = base_count(&total.0, total_class.class, plan.base, plan.scrape);
            let good = base_count(&good.0, good_class.class, plan.base, plan.scrape);
            (
                total,
                format!(
                    "clamp_min({total_ref} - {IDENTITY} ({good} or {IDENTITY} 0 * {total_ref}), 0) < Inf"
                ),
            )
        }
        _ => return Vec::new(),
    };
    let base = plan.base.as_secs_f64();
    let name = plan.increase();
    vec![
        // Drops NaN, infinities and negatives: once added they would stay for ever.
        record(name.clone(), format!("{total} >= 0 < Inf"), plan.event_labels("total")),
        record(name.clone(), error, plan.event_labels("error")),
        record(
            name,
            format!("0 * {error_ref} + {base} and ignoring(sloth_event) {total_ref}"),
            plan.event_labels("covered"),
        ),
        record(
            ratio_record(plan.base),
            format!("{error_ref} / ignoring(sloth_event) ({total_ref} > 0)"),
            plan.window_labels(plan.base),
        ),
    ]
}
