//! What rules cost a Prometheus, counted in their text.

use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};

use crate::promql;
use crate::rule::{RuleGroup, RuleKind};

/// What a set of rules costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Groups.
    pub groups: usize,
    /// Recording rules.
    pub records: usize,
    /// Alerting rules.
    pub alerts: usize,
    /// Selectors in all expressions; each costs about as much whatever it reads.
    pub selectors: usize,
    /// Seconds of history that one round of all rules reads from each raw series (not one of the SLO's own records).
    pub raw_seconds: f64,
    /// The same of the SLO's own records, per record.
    pub recorded_seconds: f64,
    /// Bytes of all expressions.
    pub bytes: usize,
}

/// Counts rules, selectors and the history they read.
#[must_use]
pub fn cost(groups: &[RuleGroup]) -> Cost {
    let mut cost = Cost { groups: groups.len(), ..Cost::default() };
    for rule in groups.iter().flat_map(|group| &group.rules) {
        match rule.kind {
            RuleKind::Record => cost.records += 1,
            RuleKind::Alert => cost.alerts += 1,
        }
        cost.bytes += rule.expr.len();
        if let Ok(expr) = promql::parse(&rule.expr) {
            let mut count = Count { cost: &mut cost, range: 0.0 };
            if walk_expr(&mut count, &expr).is_err() {
                return cost;
            }
        }
    }
    cost
}

struct Count<'a> {
    cost: &'a mut Cost,
    /// Seconds of the sub-query around.
    range: f64,
}

impl Count<'_> {
    fn selector(&mut self, selector: &VectorSelector, seconds: f64) {
        self.cost.selectors += 1;
        let own = selector.name.as_deref().is_some_and(|name| name.starts_with("slo:"));
        let seconds = seconds + self.range;
        if own {
            self.cost.recorded_seconds += seconds;
        } else {
            self.cost.raw_seconds += seconds;
        }
    }
}

impl ExprVisitor for Count<'_> {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        match expr {
            Expr::VectorSelector(selector) => self.selector(selector, 0.0),
            Expr::MatrixSelector(matrix) => {
                self.selector(&matrix.vs, matrix.range.as_secs_f64());
                // The selector inside is counted.
                return Ok(true);
            }
            Expr::Subquery(subquery) => self.range += subquery.range.as_secs_f64(),
            _ => {}
        }
        Ok(true)
    }

    fn post_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        if let Expr::Subquery(subquery) = expr {
            self.range -= subquery.range.as_secs_f64();
        }
        Ok(true)
    }
}
