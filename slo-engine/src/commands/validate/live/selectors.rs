//! The selectors of an expression and how much history each reads.

use std::convert::Infallible;

use promql_parser::label::Matcher;
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use slo_engine_core::promql;

/// A selector without `offset` and `@`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selector {
    /// As PromQL.
    pub(super) text: String,
    /// Metric name, when it is a plain one.
    pub(super) name: Option<String>,
    /// The matchers of the metric name, as PromQL, when it is not plain.
    pub(super) metric: Vec<String>,
    /// Its other matchers: label and PromQL.
    pub(super) matchers: Vec<(String, String)>,
    /// Seconds of history read from each series; 0 for an instant.
    pub(super) seconds: f64,
}

impl Selector {
    /// One of the rules' own records.
    pub(super) fn is_recorded(&self) -> bool {
        self.name.as_deref().is_some_and(|name| name.starts_with("slo:"))
    }
}

/// All selectors, in written order; none if the text does not parse.
pub(super) fn selectors(expr: &str) -> Vec<Selector> {
    let Ok(expr) = promql::parse(expr) else { return Vec::new() };
    let mut walk = Walk { found: Vec::new(), around: 0.0 };
    match walk_expr(&mut walk, &expr) {
        Ok(_) => walk.found,
        Err(never) => match never {},
    }
}

struct Walk {
    found: Vec<Selector>,
    /// Seconds of the sub-queries around.
    around: f64,
}

impl Walk {
    fn add(&mut self, selector: &VectorSelector, seconds: f64) {
        let plain = VectorSelector { offset: None, at: None, ..selector.clone() };
        let matcher = |matcher: &Matcher| (matcher.name.clone(), matcher.to_string());
        self.found.push(Selector {
            text: plain.to_string(),
            name: selector.name.clone(),
            metric: selector
                .matchers
                .matchers
                .iter()
                .filter(|m| m.name == "__name__")
                .map(ToString::to_string)
                .collect(),
            matchers: selector
                .matchers
                .matchers
                .iter()
                .filter(|m| m.name != "__name__")
                .map(matcher)
                .collect(),
            seconds: seconds + self.around,
        });
    }
}

impl ExprVisitor for Walk {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        match expr {
            Expr::VectorSelector(selector) => self.add(selector, 0.0),
            Expr::MatrixSelector(matrix) => self.add(&matrix.vs, matrix.range.as_secs_f64()),
            Expr::Subquery(subquery) => self.around += subquery.range.as_secs_f64(),
            _ => {}
        }
        Ok(true)
    }

    fn post_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
        if let Expr::Subquery(subquery) = expr {
            self.around -= subquery.range.as_secs_f64();
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_lose_their_shift_and_keep_their_range() {
        let found = selectors(
            "sum(rate(x{a=\"b\",c=~\"d.*\"}[5m] offset 1h)) / max_over_time(slo:y[6h:5m]) + {__name__=\"z\"}",
        );
        let seen: Vec<(&str, f64, usize)> =
            found.iter().map(|s| (s.text.as_str(), s.seconds, s.matchers.len())).collect();
        assert_eq!(
            seen,
            [("x{a=\"b\",c=~\"d.*\"}", 300.0, 2), ("slo:y", 21_600.0, 0), ("{__name__=\"z\"}", 0.0, 0)]
        );
        assert!(found[1].is_recorded() && !found[0].is_recorded());
        assert!(selectors("sum(").is_empty());
    }
}
