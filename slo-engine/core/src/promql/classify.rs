//! Classification of a query by its syntax tree.

use std::time::Duration;

use promql_parser::parser::token::{T_ADD, T_DIV, T_GTR, T_LOR, T_MUL, T_POW, T_SUB, T_SUM};
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, MatrixSelector, SubqueryExpr,
    VectorMatchCardinality,
};

use super::{SENTINEL, with_window};
use crate::PromDuration;

/// How the leaves of an additive query count, and hence how a base window of it is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CountClass {
    /// `rate`: events per second.
    Rate,
    /// `increase`: events, extrapolated between scrapes.
    Increase,
    /// `count_over_time` and `sum_over_time`: samples, or what they add up to.
    Samples,
}

/// What the numbers of a query mean before they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Events per second.
    PerSecond,
    /// Events of the window.
    Events,
}

impl CountClass {
    /// Error and total must agree in this.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Rate => Unit::PerSecond,
            Self::Increase | Self::Samples => Unit::Events,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Increase => "increase",
            Self::Samples => "count_over_time or sum_over_time",
        }
    }
}

/// A query that can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Additive {
    /// How to render a base window.
    pub class: CountClass,
    /// No result means no events. False when a sum or difference of several parts vanishes as soon as one part is
    /// absent: its absence then says nothing about the others.
    pub absent_is_zero: bool,
}

/// Can the query be counted per base window?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classification {
    /// Yes.
    Additive(Additive),
    /// No; one sentence (lower case, no full stop) naming the construct.
    Direct {
        /// Why.
        reason: String,
    },
}

impl Classification {
    /// The additive case.
    #[must_use]
    pub const fn additive(&self) -> Option<Additive> {
        match self {
            Self::Additive(additive) => Some(*additive),
            Self::Direct { .. } => None,
        }
    }
}

/// Classifies a query template against the base window.
#[must_use]
pub(super) fn classify(template: &str, base: PromDuration) -> Classification {
    let text = with_window(template, SENTINEL);
    let expr = match super::parse(&text) {
        Ok(expr) => expr,
        Err(error) => return direct(format!("the query does not parse: {error}")),
    };
    let mut walk = Walk { base, class: None, windows: 0 };
    match walk.additive(&expr) {
        Err(reason) => direct(reason),
        Ok(absent_is_zero) => match walk.class {
            None => direct("nothing in the query is counted over the window".to_owned()),
            Some(_) if text.matches(&SENTINEL.to_string()).count() != walk.windows => {
                direct("the window is used elsewhere than as the range of a counting function".to_owned())
            }
            Some(class) => Classification::Additive(Additive { class, absent_is_zero }),
        },
    }
}

const fn direct(reason: String) -> Classification {
    Classification::Direct { reason }
}

struct Walk {
    base: PromDuration,
    class: Option<CountClass>,
    windows: usize,
}

/// `Ok(true)`: absence of the result means zero.
type Verdict = Result<bool, String>;

impl Walk {
    fn additive(&mut self, expr: &Expr) -> Verdict {
        match expr {
            Expr::Paren(paren) => self.additive(&paren.expr),
            Expr::Unary(unary) => self.additive(&unary.expr),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Call(call) => self.call(call),
            Expr::VectorSelector(_) => {
                Err("a selector without a counting function is a gauge, not a count".to_owned())
            }
            Expr::MatrixSelector(_) | Expr::Subquery(_) => Err("a bare range is no count".to_owned()),
            Expr::NumberLiteral(_) => Err("a constant cannot be counted".to_owned()),
            Expr::StringLiteral(_) | Expr::Extension(_) => Err("the expression is no count".to_owned()),
        }
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Verdict {
        if aggregate.op.id() == T_SUM {
            self.additive(&aggregate.expr)
        } else {
            Err(format!("`{}` of several windows is not the sum of their values", aggregate.op))
        }
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Verdict {
        let (lhs, rhs) = (binary.lhs.as_ref(), binary.rhs.as_ref());
        let (left, right) = (constant(lhs), constant(rhs));
        match (binary.op.id(), left, right) {
            (_, Some(_), Some(_)) => Err("a constant cannot be counted".to_owned()),
            (T_MUL, None, Some(_)) => self.additive(lhs),
            (T_MUL, Some(_), None) => self.additive(rhs),
            (T_DIV, None, Some(divisor)) if divisor != 0.0 => self.additive(lhs),
            _ if is_idle_filter(binary) => self.additive(lhs),
            (T_ADD | T_SUB, None, None) => {
                let zero_left = self.additive(lhs)? && never_absent(lhs);
                let zero_right = self.additive(rhs)? && never_absent(rhs);
                Ok(zero_left && zero_right)
            }
            (T_LOR, None, None) => self.alternative(binary),
            (T_ADD | T_SUB, ..) => {
                Err(format!("`{}` with a constant does not grow with the window", binary.op))
            }
            (T_MUL | T_DIV, ..) => Err(format!(
                "`{}` of two queries is not the sum of its values over shorter windows",
                binary.op
            )),
            _ => Err(format!("`{}` is decided once per window, not once per event", binary.op)),
        }
    }

    /// `additive or vector(c)` and `additive or 0 * additive`.
    fn alternative(&mut self, binary: &BinaryExpr) -> Verdict {
        let verdict = self.additive(&binary.lhs)?;
        let rhs = strip_parens(&binary.rhs);
        if let Some(value) = vector_constant(rhs) {
            let on_nothing = binary.modifier.as_ref().is_none_or(|modifier| match &modifier.matching {
                None => true,
                Some(LabelModifier::Include(labels)) => labels.is_empty(),
                Some(LabelModifier::Exclude(_)) => false,
            });
            return match (value, self.class) {
                _ if !on_nothing => Err("`or vector(..)` with a label list is not understood".to_owned()),
                (0.0, _) => Ok(verdict),
                (v, Some(CountClass::Rate)) if v > 0.0 && v.is_finite() => Ok(verdict),
                (v, _) if v > 0.0 => {
                    Err("`or vector(..)` with a number above zero does not grow with the window".to_owned())
                }
                _ => Err("`or vector(..)` with a negative number is no count".to_owned()),
            };
        }
        if is_zero_product(rhs) {
            self.additive(rhs)?;
            return Ok(verdict);
        }
        Err("`or` of two queries picks one of them for the whole window".to_owned())
    }

    fn call(&mut self, call: &Call) -> Verdict {
        let first = call.args.args.first().map(AsRef::as_ref);
        let (class, subqueries) = match call.func.name {
            "rate" => (CountClass::Rate, false),
            "increase" => (CountClass::Increase, false),
            "count_over_time" | "sum_over_time" => (CountClass::Samples, true),
            "histogram_count" | "histogram_sum" | "label_replace" => {
                return first.map_or_else(
                    || Err("a function without an argument".to_owned()),
                    |arg| self.additive(arg),
                );
            }
            name => {
                return Err(format!(
                    "`{name}` of a window is not the sum of its values over shorter windows"
                ));
            }
        };
        match first {
            Some(Expr::MatrixSelector(matrix)) => self.range(matrix)?,
            Some(Expr::Subquery(subquery)) if subqueries => self.subquery(subquery)?,
            Some(Expr::Subquery(_)) => return Err(format!("`{}` of a subquery", call.func.name)),
            _ => return Err(format!("`{}` without a plain range", call.func.name)),
        }
        match self.class {
            Some(seen) if seen != class => {
                Err(format!("`{}` and `{}` are mixed in one query", seen.name(), class.name()))
            }
            _ => {
                self.class = Some(class);
                Ok(true)
            }
        }
    }

    fn range(&mut self, matrix: &MatrixSelector) -> Result<(), String> {
        if matrix.vs.offset.is_some() {
            return Err("`offset` shifts the window".to_owned());
        }
        if matrix.vs.at.is_some() {
            return Err("`@` fixes the window in time".to_owned());
        }
        self.window(matrix.range)
    }

    fn subquery(&mut self, subquery: &SubqueryExpr) -> Result<(), String> {
        if subquery.offset.is_some() {
            return Err("`offset` shifts the window".to_owned());
        }
        if subquery.at.is_some() {
            return Err("`@` fixes the window in time".to_owned());
        }
        self.window(subquery.range)?;
        let base = u128::from(self.base.as_millis());
        match subquery.step.map(|step| step.as_millis()) {
            None => Err("a subquery without a step: write one that divides the shortest window".to_owned()),
            Some(step) if step == 0 || base % step != 0 => {
                Err(format!("the step of a subquery does not divide the shortest window, {}", self.base))
            }
            Some(_) => Ok(()),
        }
    }

    fn window(&mut self, range: Duration) -> Result<(), String> {
        if range.as_millis() == u128::from(SENTINEL.as_millis()) {
            self.windows += 1;
            Ok(())
        } else {
            let shown = u64::try_from(range.as_millis())
                .map_or(PromDuration::from_millis(0), PromDuration::from_millis);
            Err(format!("the fixed range [{shown}] does not follow the window"))
        }
    }
}

fn strip_parens(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

/// `.. > 0`: hides idle windows.
pub(super) fn is_idle_filter(binary: &BinaryExpr) -> bool {
    binary.op.id() == T_GTR
        && !binary.return_bool()
        && constant(&binary.rhs) == Some(0.0)
        && constant(&binary.lhs).is_none()
}

/// Does a query without a result say that nothing happened? Not when it combines queries by arithmetic: the combination
/// vanishes with any of its parts, whatever the others are.
#[must_use]
pub fn absence_is_zero(template: &str) -> bool {
    super::parse(&with_window(template, SENTINEL)).is_ok_and(|expr| lone(&expr))
}

fn lone(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(paren) => lone(&paren.expr),
        Expr::Unary(unary) => lone(&unary.expr),
        Expr::Aggregate(aggregate) => lone(&aggregate.expr),
        Expr::Call(call) => call.args.args.iter().all(|arg| lone(arg)),
        Expr::Subquery(subquery) => lone(&subquery.expr),
        Expr::Binary(binary) if constant(&binary.lhs).is_some() => lone(&binary.rhs),
        Expr::Binary(binary) if constant(&binary.rhs).is_some() => lone(&binary.lhs),
        Expr::Binary(binary) if binary.op.id() == T_LOR => lone(&binary.lhs) && lone(&binary.rhs),
        Expr::Binary(binary) => never_absent(&binary.lhs) && never_absent(&binary.rhs),
        _ => true,
    }
}

/// The value of a constant expression.
fn constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::NumberLiteral(number) => Some(number.val),
        Expr::Paren(paren) => constant(&paren.expr),
        Expr::Unary(unary) => constant(&unary.expr).map(|value| -value),
        Expr::Binary(binary) => {
            let (lhs, rhs) = (constant(&binary.lhs)?, constant(&binary.rhs)?);
            match binary.op.id() {
                T_ADD => Some(lhs + rhs),
                T_SUB => Some(lhs - rhs),
                T_MUL => Some(lhs * rhs),
                T_DIV => Some(lhs / rhs),
                T_POW => Some(lhs.powf(rhs)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn vector_constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Call(call) if call.func.name == "vector" => {
            call.args.args.first().and_then(|arg| constant(arg))
        }
        _ => None,
    }
}

fn is_zero_product(expr: &Expr) -> bool {
    match expr {
        Expr::Binary(binary) if binary.op.id() == T_MUL => {
            constant(&binary.lhs) == Some(0.0) || constant(&binary.rhs) == Some(0.0)
        }
        _ => false,
    }
}

/// True for `.. or vector(c)`: such an operand has a value whatever exists.
fn never_absent(expr: &Expr) -> bool {
    match strip_parens(expr) {
        Expr::Binary(binary) if binary.op.id() == T_LOR => {
            vector_constant(strip_parens(&binary.rhs)).is_some()
                && binary
                    .modifier
                    .as_ref()
                    .is_none_or(|m| matches!(m.card, VectorMatchCardinality::ManyToMany))
        }
        Expr::Binary(binary) => match (constant(&binary.lhs), constant(&binary.rhs)) {
            (None, Some(_)) if matches!(binary.op.id(), T_MUL | T_DIV) => never_absent(&binary.lhs),
            (Some(_), None) if binary.op.id() == T_MUL => never_absent(&binary.rhs),
            (None, None) if matches!(binary.op.id(), T_ADD | T_SUB) => {
                never_absent(&binary.lhs) && never_absent(&binary.rhs)
            }
            _ => false,
        },
        Expr::Unary(unary) => never_absent(&unary.expr),
        _ => false,
    }
}
