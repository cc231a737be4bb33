//! Queries of one shape, and what is remembered about them.
//!
//! Parsing a query takes tens of microseconds, reading its tokens half of one. Thousands of SLOs are mostly a few queries
//! with other names and values in them, and neither decides whether Prometheus takes a query or whether it can be counted.

use std::cell::RefCell;
use std::collections::HashMap;

use promql_parser::parser::value::ValueType;

use super::lex::{Kind, Token, tokens};
use super::parse::{ParseError, look, parse_looked};
use super::{Classification, SENTINEL, classify as fresh, with_window};
use crate::PromDuration;

/// More shapes than real spec trees have; beyond it memory is worth more than time.
const REMEMBERED: usize = 4_096;

/// Words that mean something to the parser wherever they stand (in lower case).
const KEYWORDS: [&str; 33] = [
    "__name__",
    "anchored",
    "and",
    "atan2",
    "avg",
    "bool",
    "bottomk",
    "by",
    "count",
    "count_values",
    "end",
    "fill",
    "group",
    "group_left",
    "group_right",
    "ignoring",
    "inf",
    "limit_ratio",
    "limitk",
    "max",
    "min",
    "nan",
    "offset",
    "on",
    "or",
    "quantile",
    "smoothed",
    "start",
    "stddev",
    "stdvar",
    "sum",
    "topk",
    "unless",
];

/// The query with names and values replaced. Two queries of one shape parse alike and classify alike, provided that the
/// regular expressions in them were looked at.
#[must_use]
pub fn shape(query: &str, tokens: &[Token]) -> String {
    let mut shape = String::with_capacity(query.len());
    let mut before = "";
    for (index, token) in tokens.iter().enumerate() {
        let text = token.text(query);
        let called = || tokens.get(index + 1).is_some_and(|next| next.text(query) == "(");
        let shown = match token.kind {
            Kind::Ident if called() || is_keyword(text) => text,
            Kind::Ident if text.contains(':') => ":",
            Kind::Ident => "x",
            // An empty value matters: a selector needs one matcher that is not.
            Kind::Str { .. } if matches!(before, "=" | "!=") && text.len() > 2 => "\"v\"",
            _ => text,
        };
        shape.push_str(shown);
        shape.push(' ');
        before = text;
    }
    shape
}

fn is_keyword(text: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(text))
        || matches!(text, "without" | "WITHOUT" | "step" | "range")
}

/// What a query yields, as [`super::parse()`] would find out.
///
/// # Errors
/// As [`super::parse()`].
pub fn value_type(query: &str, tokens: &[Token]) -> Result<ValueType, ParseError> {
    thread_local!(static KNOWN: RefCell<HashMap<String, ValueType>> = RefCell::default());
    look(query, tokens)?;
    let shape = shape(query, tokens);
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&shape).cloned()) {
        return Ok(known);
    }
    let found = parse_looked(query, tokens)?.value_type();
    KNOWN.with_borrow_mut(|known| remember(known, shape, found));
    Ok(found)
}

/// Classifies a query template against the base window; the module documentation says how.
///
/// ```
/// use slo_engine_core::{PromDuration, promql::classify};
/// let base = PromDuration::from_secs(300);
/// assert!(classify("sum(rate(errors_total[{{.window}}]))", base).additive().is_some());
/// assert!(classify("max(rate(errors_total[{{.window}}]))", base).additive().is_none());
/// ```
#[must_use]
pub fn classify(template: &str, base: PromDuration) -> Classification {
    thread_local!(static KNOWN: RefCell<HashMap<(PromDuration, String), Classification>> = RefCell::default());
    let text = with_window(template, SENTINEL);
    let tokens = tokens(&text);
    let key = (base, shape(&text, &tokens));
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&key).cloned()) {
        return known;
    }
    let found = fresh::classify(template, base);
    KNOWN.with_borrow_mut(|known| remember(known, key, found.clone()));
    found
}

fn remember<K: std::hash::Hash + Eq, V>(known: &mut HashMap<K, V>, key: K, value: V) {
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(key, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(query: &str) -> String {
        shape(query, &tokens(query))
    }

    #[test]
    fn names_and_values_do_not_make_a_shape() {
        let one = shape_of("sum by (job) (rate(a_total{job=\"x\", code=~\"5..\"}[5m]))");
        assert_eq!(one, shape_of("sum by(team) (rate( b_total{service='y',code=~\"5..\"}[5m]))"));
        for other in [
            "sum by (job) (rate(a_total{job=\"\", code=~\"5..\"}[5m]))",
            "sum by (job) (rate(a_total{job=\"x\", code=~\"4..\"}[5m]))",
            "sum by (job) (rate(a_total{job=\"x\", code=~\"5..\"}[6m]))",
            "sum by (job) (increase(a_total{job=\"x\", code=~\"5..\"}[5m]))",
            "sum by (job) (rate(on{job=\"x\", code=~\"5..\"}[5m]))",
            "sum without (job) (rate(a_total{job=\"x\", code=~\"5..\"}[5m]))",
        ] {
            assert_ne!(one, shape_of(other), "{other}");
        }
    }

    /// Every accepted query of the table of verdicts is still accepted with all names and values replaced, and the other
    /// way round.
    #[test]
    fn the_shape_decides_the_verdict() {
        for (verdict, query) in
            include_str!("../../testdata/promql.tsv").lines().filter_map(|line| line.split_once('\t'))
        {
            for _ in 0..2 {
                assert_eq!(value_type(query, &tokens(query)).is_ok(), verdict == "accept", "{query}");
            }
        }
    }
}
