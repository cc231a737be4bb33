//! From OpenSLO's queries, which name no window, to queries over `{{.window}}`.
//!
//! | OpenSLO | becomes |
//! |---|---|
//! | ratio, `counter: true` | the increase of each counter: `sum(x)` becomes `sum(increase(x[{{.window}}]))`; a query that is not made of sums of plain selectors becomes `increase((query)[{{.window}}:step])` |
//! | ratio, `counter: false` | the sum of the samples: `sum_over_time((query)[{{.window}}:step])` |
//! | `raw`, `rawType: failure` | the mean: `avg_over_time((query)[{{.window}}:step])`; `success` is 1 minus that |
//! | threshold | total: how many steps have a value, `count_over_time`; errors: how many of them break `op value` |
//!
//! The step is one minute unless the command says otherwise. A query that holds `{{.window}}` itself is taken as it is.

use daemon_kit::source::Span;
use promql_parser::label::Labels;
use promql_parser::parser::token::{T_ADD, T_DIV, T_MUL, T_SUB, T_SUM};
use promql_parser::parser::{self, AggregateExpr, BinaryExpr, Expr, LabelModifier};
use slo_engine_core::{Field, PromDuration, Query, Sli, number};

use super::super::reader::Reader;
use super::Objective;
use super::indicator::{Indicator, Metric, Query as Written};

/// The indicator of one objective.
pub(super) fn sli(
    reader: &mut Reader<'_>,
    indicator: &Indicator,
    objective: &Objective,
    head: Span,
    step: PromDuration,
    places: &mut Vec<(Field, Span)>,
) -> Option<Sli> {
    let mut place = |field: Field, query: &Written| {
        if !indicator.foreign {
            places.push((field, query.text.span));
        }
    };
    match &indicator.metric {
        Metric::GoodTotal { good, total, counter } => {
            place(Field::GoodQuery, good);
            place(Field::TotalQuery, total);
            let (good, total) = (events(good, *counter, step), events(total, *counter, step));
            Some(Sli::GoodTotal { good, total })
        }
        Metric::BadTotal { bad, total, counter } => {
            place(Field::ErrorQuery, bad);
            place(Field::TotalQuery, total);
            Some(Sli::Events { error: events(bad, *counter, step), total: events(total, *counter, step) })
        }
        Metric::Raw { query, success } => {
            place(Field::RatioQuery, query);
            let text = query.text.value.trim();
            let mean = match windowed(text) {
                true => text.to_owned(),
                false => format!("avg_over_time(({text})[{{{{.window}}}}:{step}])"),
            };
            Some(Sli::Raw { error_ratio: Query(if *success { format!("1 - ({mean})") } else { mean }) })
        }
        Metric::Threshold { query } => {
            place(Field::ErrorQuery, query);
            place(Field::TotalQuery, query);
            let (op, value) = threshold(reader, objective, head)?;
            let text = query.text.value.trim();
            if windowed(text) {
                let help = "write the query for one moment; every step of the window is compared";
                let span = if indicator.foreign { head } else { query.text.span };
                reader.error_help("openslo-query", span, "a threshold query must not hold {{.window}}", help);
                return None;
            }
            let over = |function: &str, inner: &str| {
                Query(format!("sum({function}(({inner})[{{{{.window}}}}:{step}]))"))
            };
            Some(Sli::Events {
                error: over("sum_over_time", &format!("({text}) {op} bool {value}")),
                total: over("count_over_time", text),
            })
        }
    }
}

/// The comparison that finds bad values: the opposite of the objective's.
fn threshold(reader: &mut Reader<'_>, objective: &Objective, head: Span) -> Option<(&'static str, String)> {
    let bad = match objective.op.as_ref().map(|op| op.value.as_str()) {
        Some("lte") => ">",
        Some("lt") => ">=",
        Some("gte") => "<",
        Some("gt") => "<=",
        _ => {
            let span = objective.op.as_ref().map_or(head, |op| op.span);
            let help = "write `op: lte` (or lt, gte, gt) and `value:`; values for which it holds are good";
            reader.error_help("openslo-threshold", span, "a threshold needs an `op`", help);
            return None;
        }
    };
    let Some((value, _)) = objective.value else {
        reader.error("openslo-threshold", head, "a threshold needs a `value`");
        return None;
    };
    Some((bad, number::plain(value)))
}

fn windowed(text: &str) -> bool {
    text.contains("{{")
}

/// The number of events in the window.
fn events(query: &Written, counter: bool, step: PromDuration) -> Query {
    let text = query.text.value.trim();
    if windowed(text) {
        return Query(text.to_owned());
    }
    let pushed = if counter { parser::parse(text).ok().and_then(|expr| increased(&expr)) } else { None };
    let function = if counter { "increase" } else { "sum_over_time" };
    Query(pushed.unwrap_or_else(|| format!("{function}(({text})[{{{{.window}}}}:{step}])")))
}

/// The increase of a linear expression is the same expression of the increases; a counter that resets is then seen where
/// it resets and not in the sum.
fn increased(expr: &Expr) -> Option<String> {
    match expr {
        Expr::VectorSelector(selector) if selector.offset.is_none() && selector.at.is_none() => {
            Some(format!("increase({selector}[{{{{.window}}}}])"))
        }
        Expr::Paren(paren) => Some(format!("({})", increased(&paren.expr)?)),
        Expr::Unary(unary) => Some(format!("-{}", increased(&unary.expr)?)),
        Expr::Aggregate(AggregateExpr { op, expr, param: None, modifier }) if op.id() == T_SUM => {
            let labels = |labels: &Labels| labels.labels.join(", ");
            let modifier = match modifier {
                None => String::new(),
                Some(LabelModifier::Include(by)) => format!(" by ({})", labels(by)),
                Some(LabelModifier::Exclude(without)) => format!(" without ({})", labels(without)),
            };
            let inner = increased(expr)?;
            Some(if modifier.is_empty() {
                format!("sum({inner})")
            } else {
                format!("sum{modifier} ({inner})")
            })
        }
        Expr::Binary(BinaryExpr { op, lhs, rhs, modifier: None }) => {
            let constant = |expr: &Expr| matches!(expr, Expr::NumberLiteral(_)).then(|| expr.to_string());
            let (left, right) = (constant(lhs), constant(rhs));
            let sides = match op.id() {
                T_ADD | T_SUB if left.is_none() && right.is_none() => (increased(lhs)?, increased(rhs)?),
                T_MUL => match (left, right) {
                    (Some(left), None) => (left, increased(rhs)?),
                    (None, Some(right)) => (increased(lhs)?, right),
                    _ => return None,
                },
                T_DIV => (increased(lhs)?, right?),
                _ => return None,
            };
            Some(format!("{} {op} {}", sides.0, sides.1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_grow_where_they_are_counted() {
        for (query, mapped) in [
            ("sum(x)", "sum(increase(x[{{.window}}]))"),
            ("sum by (a, b) (x{c=\"d\"})", "sum by (a, b) (increase(x{c=\"d\"}[{{.window}}]))"),
            ("sum(x) - 2 * sum(y)", "sum(increase(x[{{.window}}])) - 2 * sum(increase(y[{{.window}}]))"),
            ("-(x) / 1000", "-(increase(x[{{.window}}])) / 1000"),
            ("max(x)", "increase((max(x))[{{.window}}:1m])"),
            ("x offset 5m", "increase((x offset 5m)[{{.window}}:1m])"),
            ("sum(rate(x[5m]))", "increase((sum(rate(x[5m])))[{{.window}}:1m])"),
            ("sum(rate(x[{{.window}}]))", "sum(rate(x[{{.window}}]))"),
        ] {
            let mut written = Written::default();
            written.text.value = query.to_owned();
            let step = PromDuration::from_secs(60);
            let Query(text) = events(&written, true, step);
            assert_eq!(text, mapped, "{query}");
            parser::parse(&text.replace("{{.window}}", "5m")).unwrap();
            let Query(text) = events(&written, false, step);
            parser::parse(&text.replace("{{.window}}", "5m")).unwrap();
        }
    }
}
