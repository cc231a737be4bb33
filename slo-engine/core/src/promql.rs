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
pub mod lex;
mod parse;
mod regex;
mod render;
mod shape;
#[cfg(test)]
mod tests;

pub use classify::{Additive, Classification, CountClass, Unit, absence_is_zero};
pub use parse::{ParseError, parse, parse_tokens};
pub use render::{base_count, drop_idle_filter, stretched, wrap};
pub use shape::{classify, shape, value_type};

/// The window that a template is rendered with before it is parsed: no query contains it by chance.
pub const SENTINEL: crate::PromDuration = crate::PromDuration::from_secs(817);

/// Replaces the window actions of a query template. A template with anything else in it stays as it is; the check has
/// reported that.
#[must_use]
pub fn with_window(template: &str, window: crate::PromDuration) -> String {
    match crate::template::Template::parse(template) {
        Ok(template) => template.render(&window.to_string()),
        Err(_) => template.to_owned(),
    }
}
