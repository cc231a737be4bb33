//! PromQL in the file.

use promql_parser::label::Matchers;
use promql_parser::parser::Expr;
use promql_parser::parser::value::ValueType;

/// Longest duration and latest moment in seconds that a query may name as a plain number.
const MOST_SECONDS: f64 = 1e11;

fn parse(text: &str) -> Result<Expr, String> {
    check_seconds(text)?;
    promql_parser::parser::parse(text)
}

/// The parser ends the process when a plain number stands for a duration or a moment that no duration holds: after `[`, `:`,
/// `offset` and `@`. Such numbers are found here, outside strings and comments.
fn check_seconds(text: &str) -> Result<(), String> {
    let mut rest = text;
    // What the number would be, and the least it may be.
    let mut least = None;
    while let Some(first) = rest.chars().next() {
        let in_word = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
        let length = match first {
            '"' | '\'' | '`' => string_length(rest, first),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if in_word(c) => {
                let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
                // The sign of an exponent belongs to the number.
                let signed = rest.get(end..).is_some_and(|tail| tail.starts_with(['+', '-']));
                let mantissa = rest.get(..end).unwrap_or_default().strip_suffix(['e', 'E']);
                match mantissa.filter(|mantissa| signed && mantissa.parse::<f64>().is_ok()) {
                    Some(_) => {
                        let tail = rest.get(end + 1..).unwrap_or_default();
                        end + 1 + tail.find(|c| !in_word(c)).unwrap_or(tail.len())
                    }
                    None => end,
                }
            }
            c => c.len_utf8(),
        };
        let (token, tail) = rest.split_at(length);
        rest = tail;
        match token {
            "[" | ":" => least = Some(0.0),
            "@" => least = Some(-MOST_SECONDS),
            "+" => {}
            // Of `[-1]` the one is looked at with its sign.
            "-" if least == Some(0.0) => least = Some(MOST_SECONDS),
            "-" => {}
            _ if token.trim().is_empty() => {}
            _ if token.eq_ignore_ascii_case("offset") => least = Some(-MOST_SECONDS),
            _ => {
                let number = seconds(token);
                if let (Some(least), Some(number)) = (least.take(), number)
                    && !(least..MOST_SECONDS).contains(&number)
                {
                    return Err(format!("{token} is no duration or time in seconds"));
                }
            }
        }
    }
    Ok(())
}

fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped && quote != '`';
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

#[allow(clippy::cast_precision_loss, reason = "compared with a bound far away")]
fn seconds(token: &str) -> Option<f64> {
    let plain = token.replace('_', "").to_ascii_lowercase();
    match plain.strip_prefix("0x") {
        Some(digits) => Some(u64::from_str_radix(digits, 16).map_or(f64::INFINITY, |value| value as f64)),
        None => plain.parse().ok(),
    }
}

/// A series selector without range, offset and `@`.
pub(super) fn check_selector(text: &str) -> Result<(), String> {
    match parse(text)? {
        Expr::VectorSelector(selector) if selector.offset.is_none() && selector.at.is_none() => Ok(()),
        _ => Err("it is more than a series selector".to_owned()),
    }
}

/// Label matchers as they stand between braces.
pub(super) fn check_matchers(text: &str) -> Result<(), String> {
    match parse(&format!("x{{{text}}}"))? {
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
    match parse(text)?.value_type() {
        ValueType::Vector => Ok(()),
        _ => Err("it yields no instant vector".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_queries_are_refused_without_a_panic() {
        for query in [
            "x[1e30]",
            "x[1e999]",
            "x[-1]",
            "x[NaN]",
            "x[inf]",
            "x offset 1e30",
            "x @ 1e30",
            "x @ -inf",
            "x[99999999999999999y]",
            "x[5m:1e30]",
            "x{a=~\"(\"}",
            "\"\\xff\"",
            "x{",
            "",
            "rate(x)",
            "1",
            "x[5m]",
        ] {
            assert!(check_query(query).is_err(), "{query}");
        }
        drop(check_query(&"(".repeat(20_000)));
        drop(check_query(&format!("{}x{}", "(".repeat(20_000), ")".repeat(20_000))));
        drop(check_query(&"-".repeat(20_000)));
        drop(check_query(&format!("x{}", "[1m:1m]".repeat(5_000))));
    }

    #[test]
    fn usual_queries_are_taken() {
        for query in [
            "x offset -5m",
            "x offset 300",
            "x @ 1700000000",
            "x @ start()",
            "sum_over_time(x[300])",
            "max_over_time(x[1h:30s])",
            "rate(slo:x:y{a=\"[1e30]\"}[5m]) > 1e30",
            "x # [1e30]\n + 1e-30",
            "x{a='\\'[1e30'} * 0x1F",
        ] {
            assert_eq!(check_query(query), Ok(()), "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics(
            query in "(x|\\[|\\]|:|@| ?offset ?|-|\\+|1e30|9e|0xffffffffffffffff|5m|30|inf|NaN|1_0|\\(|\\)|\"|'|`|#|\n|\\\\|\\{|\\}|,){0,12}|x(\\[|@|offset| )[-+ ]{0,2}[0-9.e_xminfNa+-]{0,8}(:[-0-9e.m]{0,5})?\\]?"
        ) {
            drop(check_query(&query));
        }
    }
}
