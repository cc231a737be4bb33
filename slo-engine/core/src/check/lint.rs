//! What is allowed and yet hardly meant.

use super::{Profile, finding};
use crate::finding::{Field, Finding, Severity};
use crate::number;
use crate::promql::lex::{self, Kind, Token};
use crate::template::Template;

pub(super) fn objective(value: f64, profile: Profile, findings: &mut Vec<Finding>) {
    let mut push = |severity, code, message: String, help: &str| {
        findings.push(finding(severity, code, Field::Objective, message).help(help));
    };
    if value <= 1.0 {
        push(
            Severity::Warning,
            "objective-ratio",
            format!("the objective {value} is a percentage: nearly every event may fail"),
            &format!(
                "if {} % is meant, write {}",
                number::plain(value * 100.0),
                number::plain(value * 100.0)
            ),
        );
    }
    #[allow(clippy::float_cmp, reason = "100 is exact")]
    if value == 100.0 && profile == Profile::Sloth {
        push(
            Severity::Warning,
            "objective-hundred",
            "with an objective of 100 the burn rate is a division by zero: +Inf with errors, NaN without"
                .to_owned(),
            "profile lean says 0 and 1 instead; or write an objective below 100",
        );
    }
    let decimals = number::plain(value).split_once('.').map_or(0, |(_, decimals)| decimals.len());
    if decimals > 9 {
        push(
            Severity::Note,
            "objective-digits",
            format!(
                "the objective {value} has {decimals} decimals, which looks like the noise of a calculation"
            ),
            "write the rounded number",
        );
    }
}

/// Two queries that differ in white space only.
pub(super) fn same_tokens(a: &str, b: &str, field: Field, findings: &mut Vec<Finding>) {
    let words = |query: &str| -> Vec<String> {
        lex::tokens(query).iter().map(|token| token.text(query).to_owned()).collect()
    };
    if words(a) == words(b) {
        let (what, help) = match field {
            Field::GoodQuery => ("good query and the total query", "every event counts as good then"),
            _ => ("error query and the total query", "every event counts as an error then"),
        };
        findings.push(
            finding(
                Severity::Warning,
                "queries-alike",
                field,
                format!("the {what} differ in white space only"),
            )
            .help(help),
        );
    }
}

pub(super) fn query(
    rendered: &str,
    tokens: &[Token],
    template: &Template,
    field: &Field,
    findings: &mut Vec<Finding>,
) {
    window_in_string(tokens, template, field, findings);
    matchers(rendered, tokens, template, field, findings);
    let mut push = |code, token: &Token, severity, message: String, help: &str| {
        let offset = template.source_offset(token.range.start, "1m");
        findings.push(finding(severity, code, field.clone(), message).help(help).offset(Some(offset)));
    };
    for (index, token) in tokens.iter().enumerate() {
        let after = |steps: usize| tokens.get(index + steps).map_or("", |token| token.text(rendered));
        let text = token.text(rendered);
        if matches!(text, "rate" | "increase" | "irate") && after(1) == "(" && looks_like_a_gauge(after(2)) {
            push(
                "rate-of-gauge",
                token,
                Severity::Note,
                format!("`{text}` is for counters, and `{}` is named like a gauge", after(2)),
                "if it is a gauge, use `avg_over_time` or `delta`",
            );
        }
        let matcher = token.kind == Kind::Str { closed: true } && index > 0;
        let operator = index
            .checked_sub(1)
            .and_then(|before| tokens.get(before))
            .map_or("", |token| token.text(rendered));
        if matcher && operator == "=" && (text.contains(".*") || text.contains(".+") || text.contains('|')) {
            push(
                "matcher-literal",
                token,
                Severity::Warning,
                format!("`={text}` matches exactly this text, which looks like a regular expression"),
                "write `=~` to match a regular expression",
            );
        }
    }
}

/// Matchers of one selector that no label can satisfy together.
fn matchers(
    rendered: &str,
    tokens: &[Token],
    template: &Template,
    field: &Field,
    findings: &mut Vec<Finding>,
) {
    let mut seen: Vec<(&str, bool, String)> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if token.text(rendered) == "{" {
            seen.clear();
        }
        let Some([name, operator, value]) = tokens.get(index..index + 3) else { return };
        let (label, equal) = match (name.kind, operator.text(rendered)) {
            (Kind::Ident, "=") => (name.text(rendered), true),
            (Kind::Ident, "!=") => (name.text(rendered), false),
            _ => continue,
        };
        let Some(text) = lex::unquote(value.text(rendered)) else { continue };
        let never = seen.iter().any(|(other, other_equal, other_text)| {
            *other == label
                && match (equal, other_equal) {
                    (true, true) => text != *other_text,
                    (true, false) | (false, true) => text == *other_text,
                    (false, false) => false,
                }
        });
        if never {
            let message =
                format!("the selector matches nothing: what it asks of `{label}` contradicts itself");
            let offset = template.source_offset(name.range.start, "1m");
            findings.push(
                finding(Severity::Warning, "matcher-never", field.clone(), message)
                    .help(format!("for one of several values write `{label}=~\"one|other\"`"))
                    .offset(Some(offset)),
            );
        }
        seen.push((label, equal, text));
    }
}

/// A window that is only part of a string does not set any range.
fn window_in_string(tokens: &[Token], template: &Template, field: &Field, findings: &mut Vec<Finding>) {
    let inside = |at: usize| {
        tokens.iter().any(|token| {
            matches!(token.kind, Kind::Str { .. }) && token.range.start < at && at < token.range.end
        })
    };
    if template.uses() > 0 && template.window_offsets("1m").all(inside) {
        findings.push(
            finding(
                Severity::Warning,
                "window-in-string",
                field.clone(),
                "the window stands only inside a string, so every window computes the same".to_owned(),
            )
            .help("use it as the range, as in `rate(http_requests_total[{{.window}}])`"),
        );
    }
}

/// By the conventions of metric names: counters end in `_total`, `_count`, `_sum` or `_bucket`.
fn looks_like_a_gauge(name: &str) -> bool {
    const ENDINGS: [&str; 16] = [
        "_active",
        "_celsius",
        "_current",
        "_depth",
        "_free",
        "_in_flight",
        "_inflight",
        "_info",
        "_limit",
        "_percent",
        "_ratio",
        "_size",
        "_temperature",
        "_timestamp_seconds",
        "_usage",
        "_utilization",
    ];
    name == "up" || ENDINGS.iter().any(|ending| name.ends_with(ending))
}
