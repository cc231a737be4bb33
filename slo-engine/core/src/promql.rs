//! What a query's syntax tree says about counting it.
//!
//! A query is *additive* when the events it counts over a long window are the sum of what it counts over the short
//! windows that make up the long one. Only such a query can be counted once per base window and summed; any other is
//! computed directly over each window, as Sloth does.
//!
//! ```text
//! additive := sum [by|without] (additive) | additive + additive | additive - additive | -additive | (additive)
//!           | constant * additive | additive * constant | additive / constant | additive > 0
//!           | additive or [on()] vector(constant >= 0) | additive or 0 * additive
//!           | histogram_count(additive) | histogram_sum(additive) | label_replace(additive, ..)
//!           | rate(selector[W]) | increase(selector[W]) | count_over_time(selector[W]) | sum_over_time(selector[W])
//!           | count_over_time(any[W:step]) | sum_over_time(any[W:step])      with a step that divides the base
//! ```

mod classify;
mod render;

pub use classify::{Additive, Classification, CountClass, Unit, absence_is_zero, classify};
pub use render::{base_count, drop_idle_filter, stretched, wrap};

/// The window that a template is rendered with before it is parsed: no query contains it by chance.
pub const SENTINEL: crate::PromDuration = crate::PromDuration::from_secs(817);

/// Replaces the window action of a query template.
#[must_use]
pub fn with_window(template: &str, window: crate::PromDuration) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    let window = window.to_string();
    while let Some(start) = rest.find("{{") {
        let (before, action) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = action.find("}}") else {
            out.push_str(action);
            return out;
        };
        let (action, after) = action.split_at(end + 2);
        if action.trim_start_matches("{{").trim_end_matches("}}").trim_matches(['-', ' ', '\t']) == ".window"
        {
            out.push_str(&window);
        } else {
            out.push_str(action);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
