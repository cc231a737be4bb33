//! PromQL text to syntax tree, as Prometheus 3 reads it.
//!
//! The work is `promql_parser`'s. Around it: what it takes and Prometheus refuses is refused (experimental functions, Rust's
//! regular expressions, numbers out of range), what it refuses and Prometheus takes is rewritten to the same thing in other
//! words (raw strings, `offset 0s`, `1_000`), and an error names its place where the tokens show it. `docs/promql.md` lists
//! the differences that remain.

use std::borrow::Cow;
use std::ops::Range;

use promql_parser::parser::Expr;

use super::lex::{Kind, Token, tokens, unquote};
use super::regex;
use crate::PromDuration;

/// A query that Prometheus would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where in the query, when that is certain.
    pub range: Option<Range<usize>>,
    /// What would be right.
    pub help: Option<String>,
}

impl ParseError {
    fn at(token: &Token, message: String) -> Self {
        Self { message, range: Some(token.range.clone()), help: None }
    }

    fn help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }
}

/// Functions and aggregations behind `--enable-feature=promql-experimental-functions`.
const EXPERIMENTAL: [&str; 14] = [
    "double_exponential_smoothing",
    "first_over_time",
    "histogram_quantiles",
    "info",
    "limit_ratio",
    "limitk",
    "mad_over_time",
    "max_of",
    "min_of",
    "sort_by_label",
    "sort_by_label_desc",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
];

/// Parses a query (with the window already in it).
///
/// # Errors
/// What Prometheus 3 without feature flags would refuse.
pub fn parse(query: &str) -> Result<Expr, ParseError> {
    parse_tokens(query, &tokens(query))
}

/// As [`parse`], for who has the tokens already.
///
/// # Errors
/// As [`parse`].
pub fn parse_tokens(query: &str, tokens: &[Token]) -> Result<Expr, ParseError> {
    look(query, tokens)?;
    parse_looked(query, tokens)
}

/// As [`parse_tokens`], after [`look`].
pub(super) fn parse_looked(query: &str, tokens: &[Token]) -> Result<Expr, ParseError> {
    let text = rewrite(query, tokens, false);
    promql_parser::parser::parse(&text)
        .or_else(|error| {
            // Every regular expression was looked at above; Rust's opinion of it does not count.
            if error.contains("illegal regex") {
                promql_parser::parser::parse(&rewrite(query, tokens, true))
            } else {
                Err(error)
            }
        })
        .map_err(|error| explain(query, tokens, &error))
}

/// Finds what the parser would overlook, and what it would report without a place.
pub(super) fn look(query: &str, tokens: &[Token]) -> Result<(), ParseError> {
    let mut open: Vec<&Token> = Vec::new();
    let mut before = "";
    for (index, token) in tokens.iter().enumerate() {
        let text = token.text(query);
        match token.kind {
            Kind::Stray => {
                let error = ParseError::at(token, format!("unexpected character `{}`", text.escape_debug()));
                let help = match text {
                    "$" => Some(
                        "dashboard variables do not exist in rules; write the value, or `{{.window}}` for the range",
                    ),
                    "&" | "|" => Some("the set operators are `and`, `or` and `unless`"),
                    _ => None,
                };
                return Err(Some(error).zip(help).map_or_else(
                    || ParseError::at(token, format!("unexpected character `{}`", text.escape_debug())),
                    |(error, help)| error.help(help),
                ));
            }
            Kind::Str { closed: false } => {
                return Err(ParseError::at(token, "the string is not closed".to_owned()));
            }
            Kind::Str { closed: true } if before == "=~" || before == "!~" => {
                let value = unquote(text).ok_or_else(|| escape_error(token, text))?;
                regex::check(&value).map_err(|error| {
                    ParseError::at(token, format!("the regular expression {text} is wrong: {error}"))
                })?;
            }
            Kind::Str { closed: true } => {
                if text.contains('\\') && unquote(text).is_none() && !text.contains("\\x") {
                    return Err(escape_error(token, text));
                }
            }
            Kind::Number => {
                number(token, text, before)?;
                reach(query, tokens, index)?;
            }
            // The parser knows the `or` of another dialect inside the braces.
            Kind::Ident
                if text.eq_ignore_ascii_case("or")
                    && open.last().is_some_and(|token| token.text(query) == "{")
                    && before.ends_with(['"', '\'', '`']) =>
            {
                return Err(ParseError::at(token, "label matchers are separated by commas".to_owned())
                    .help("alternatives go into one regular expression: {code=~\"5..|429\"}"));
            }
            Kind::Ident => {
                reach(query, tokens, index)?;
                let next = tokens.get(index + 1).map_or("", |next| next.text(query));
                if matches!(next.to_ascii_lowercase().as_str(), "(" | "by" | "without") {
                    experimental(token, text, before)?;
                }
            }
            Kind::Op => match text {
                "(" | "[" | "{" => open.push(token),
                ")" | "]" | "}" => {
                    let matching = open.pop().map(|token| token.text(query));
                    if !matches!((matching, text), (Some("("), ")") | (Some("["), "]") | (Some("{"), "}")) {
                        return Err(ParseError::at(token, format!("`{text}` closes nothing")));
                    }
                }
                _ => {}
            },
        }
        before = text;
    }
    match open.last() {
        Some(token) => Err(ParseError::at(token, format!("`{}` is not closed", token.text(query)))),
        None => Ok(()),
    }
}

fn escape_error(token: &Token, text: &str) -> ParseError {
    ParseError::at(token, format!("the string {text} has an escape that means nothing")).help(
        "in a quoted string write a backslash twice, as in \"\\\\d+\", or use a raw string in backquotes",
    )
}

fn experimental(token: &Token, text: &str, before: &str) -> Result<(), ParseError> {
    let lower = text.to_ascii_lowercase();
    let aggregation = lower == "limitk" || lower == "limit_ratio";
    if (EXPERIMENTAL.contains(&text) || text == "ts_of_min_over_time" || aggregation)
        && before != "by"
        && before != "without"
    {
        return Err(ParseError::at(token, format!("`{text}` is experimental and not enabled in Prometheus by default"))
            .help("a Prometheus started with --enable-feature=promql-experimental-functions takes it: then use --promql warn"));
    }
    if matches!(lower.as_str(), "fill" | "fill_left" | "fill_right")
        && (before == ")"
            || is_operator(before)
            || before.eq_ignore_ascii_case("bool")
            || is_grouping(before))
    {
        return Err(ParseError::at(token, format!("`{text}` is experimental and not enabled in Prometheus by default"))
            .help("a Prometheus started with --enable-feature=promql-binop-fill-modifiers takes it: then use --promql warn"));
    }
    if matches!(text, "start" | "end") && before != "@" {
        return Err(ParseError::at(token, format!("`{text}()` works only after `@`")));
    }
    Ok(())
}

fn is_operator(text: &str) -> bool {
    matches!(text, "+" | "-" | "*" | "/" | "%" | "^" | "==" | "!=" | ">" | "<" | ">=" | "<=")
        || text.eq_ignore_ascii_case("atan2")
}

fn is_grouping(text: &str) -> bool {
    text.eq_ignore_ascii_case("group_left") || text.eq_ignore_ascii_case("group_right")
}

fn number(token: &Token, text: &str, before: &str) -> Result<(), ParseError> {
    if text.parse::<f64>().is_ok_and(f64::is_infinite) {
        return Err(ParseError::at(token, format!("the number {text} is out of range")));
    }
    if matches!(before, "[" | ":") && integer(text) == Some(0) {
        return Err(ParseError::at(token, "a range or step must be above zero".to_owned()));
    }
    let loose = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    if loose || ["0o", "0O", "0b", "0B"].iter().any(|base| text.starts_with(base)) {
        return Err(ParseError::at(token, format!("{text} is no number")));
    }
    if let Err(crate::duration::DurationError::Overflow) = PromDuration::parse(text) {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        if !plain {
            return Err(ParseError::at(token, format!("the duration {text} is out of range")));
        }
    }
    Ok(())
}

/// Largest duration in seconds: what Go's nanoseconds in 64 bits hold.
const MAX_SECONDS: f64 = (i64::MAX / 1_000_000_000) as f64;

/// Seconds behind `[`, `:` and `offset`, and the moment behind `@`, must be what Prometheus can hold. The parser would not
/// return otherwise.
fn reach(query: &str, tokens: &[Token], index: usize) -> Result<(), ParseError> {
    let Some((token, ahead)) = tokens.get(index).zip(tokens.get(..index)) else { return Ok(()) };
    let mut ahead =
        ahead.iter().rev().map(|token| token.text(query)).skip_while(|text| matches!(*text, "+" | "-"));
    let (what, most) = match ahead.next() {
        Some("[" | ":") => ("duration", MAX_SECONDS),
        Some(text) if text.eq_ignore_ascii_case("offset") => ("duration", MAX_SECONDS),
        Some("@") => ("timestamp", i64::MAX as f64),
        _ => return Ok(()),
    };
    let text = token.text(query).replace('_', "");
    let value = match text.get(..2) {
        Some("0x" | "0X") => {
            u64::from_str_radix(text.get(2..).unwrap_or_default(), 16).map_or(f64::INFINITY, |n| n as f64)
        }
        // Durations with units have been looked at, names are no numbers.
        _ => text.parse().unwrap_or_default(),
    };
    if value.is_finite() && value <= most {
        return Ok(());
    }
    Err(ParseError::at(token, format!("the {what} {} is out of range", token.text(query))))
}

/// Go's integers: with a base prefix, a leading zero for octal, and underscores.
fn integer(text: &str) -> Option<i64> {
    let digits = text.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (lower.get(2..)?, 16),
        Some(start) if start.starts_with('0') && lower.bytes().all(|byte| byte.is_ascii_digit()) => {
            (lower.get(1..)?, 8)
        }
        _ => (lower.as_str(), 10),
    };
    i64::from_str_radix(digits, radix).ok()
}

/// Says the same in words that the parser knows.
fn rewrite<'a>(query: &'a str, tokens: &[Token], blind_regexes: bool) -> Cow<'a, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut tokens = tokens.iter().peekable();
    let mut before = "";
    while let Some(token) = tokens.next() {
        let text = token.text(query);
        let mut end = token.range.end;
        let instead = match token.kind {
            Kind::Str { closed: true }
                if blind_regexes && text.len() > 2 && (before == "=~" || before == "!~") =>
            {
                // Any valid expression will do, but different ones stay different.
                let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '.' };
                Some(format!("\"{}\"", text.chars().map(plain).collect::<String>()))
            }
            Kind::Str { closed: true } if text.starts_with('`') && text.contains(['\\', '"', '\n', '\r']) => {
                unquote(text).map(|value| requote(&value))
            }
            Kind::Number if text.contains('_') => integer(text).map(|value| value.to_string()),
            Kind::Number if text.starts_with('.') => Some(format!(" 0{text}")),
            // Modifiers stand behind a selector; elsewhere they are names, which the parser does not expect.
            Kind::Ident if is_modifier(text) && !follows_selector(before) => Some(format!("{text}_")),
            Kind::Ident if text.eq_ignore_ascii_case("offset") => {
                let zero = |token: &Token| {
                    token.kind == Kind::Number
                        && (PromDuration::parse(token.text(query)).is_ok_and(PromDuration::is_zero)
                            || integer(token.text(query)) == Some(0))
                };
                tokens.next_if(|next| zero(next)).map(|next| {
                    end = next.range.end;
                    " ".to_owned()
                })
            }
            _ => None,
        };
        if let Some(instead) = instead {
            out.push_str(query.get(copied..token.range.start).unwrap_or_default());
            out.push_str(&instead);
            copied = end;
        }
        before = text;
    }
    if copied == 0 {
        return Cow::Borrowed(query);
    }
    out.push_str(query.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

fn is_modifier(text: &str) -> bool {
    text.eq_ignore_ascii_case("anchored") || text.eq_ignore_ascii_case("smoothed")
}

fn follows_selector(before: &str) -> bool {
    let operator =
        ["and", "or", "unless", "bool", "atan2"].iter().any(|word| word.eq_ignore_ascii_case(before));
    let name = before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    matches!(before, "]" | "}" | ")") || (name && !operator)
}

fn requote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 4);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Adds the place that the parser's message lacks, where only one token can be meant.
fn explain(query: &str, tokens: &[Token], error: &str) -> ParseError {
    let error = error.trim();
    let mut message: String = error.split_whitespace().collect::<Vec<_>>().join(" ");
    if message == "invalid promql query" {
        "this is no PromQL expression".clone_into(&mut message);
    }
    let mut found = ParseError { message, range: None, help: None };
    if tokens.is_empty() {
        "the query is empty".clone_into(&mut found.message);
        return found;
    }
    if let Some(name) =
        error.strip_prefix("unknown function with name ").map(|name| name.trim_matches(['\'', '"', '`', ' ']))
    {
        let mut calls = tokens.windows(2).filter_map(|pair| match pair {
            [token, next] if token.text(query) == name && next.text(query) == "(" => Some(token),
            _ => None,
        });
        if let (Some(token), None) = (calls.next(), calls.next()) {
            found.range = Some(token.range.clone());
        }
        found.message = format!("there is no function `{name}`");
        let lower = name.to_ascii_lowercase();
        if lower != name && promql_parser::parser::parse(&format!("{lower}(x[1m])")).is_ok() {
            found.help = Some(format!("write `{lower}`: function names are in lower case"));
        }
    }
    found
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
