//! PromQL in the file.

use promql_parser::label::Matchers;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, Expr};

/// A series selector without range, offset and `@`.
pub(super) fn check_selector(text: &str) -> Result<(), String> {
    match parser::parse(text)? {
        Expr::VectorSelector(selector) if selector.offset.is_none() && selector.at.is_none() => Ok(()),
        _ => Err("it is more than a series selector".to_owned()),
    }
}

/// Label matchers as they stand between braces.
pub(super) fn check_matchers(text: &str) -> Result<(), String> {
    match parser::parse(&format!("x{{{text}}}"))? {
        Expr::VectorSelector(selector)
            if selector.matchers != Matchers::empty() && !text.trim_end().ends_with(',') =>
        {
            Ok(())
        }
        _ => Err("it is more, or less, than label matchers".to_owned()),
    }
}

/// A query that yields an instant vector.
pub(super) fn check_query(text: &str) -> Result<(), String> {
    match parser::parse(text)?.value_type() {
        ValueType::Vector => Ok(()),
        _ => Err("it yields no instant vector".to_owned()),
    }
}
