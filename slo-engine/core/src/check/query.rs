//! One query: its template and its PromQL.

use promql_parser::parser::value::ValueType;

use super::{CheckOptions, Profile, PromqlCheck, error, finding, lint};
use crate::finding::{Field, Finding, Severity};
use crate::promql::{lex, value_type};
use crate::template::{Template, mentions_window};

/// The window that Sloth tries queries with.
const WINDOW: &str = "1m";

/// Checks a query; `needs_window` says whether it must use the window itself.
pub(super) fn check(
    query: &str,
    field: Field,
    needs_window: bool,
    options: &CheckOptions,
    findings: &mut Vec<Finding>,
) {
    if query.trim().is_empty() {
        findings.push(
            error("query-required", field, "the query is empty".to_owned()).help("write a PromQL query"),
        );
        return;
    }
    let template = match Template::parse(query) {
        Ok(template) => template,
        Err(wrong) => {
            let found = error("query-template", field, wrong.to_string()).offset(Some(wrong.offset));
            findings.push(Finding { help: wrong.help(), ..found });
            return;
        }
    };
    if needs_window {
        window(query, &template, &field, options, findings);
    }
    if options.promql == PromqlCheck::Off {
        return;
    }
    let rendered = template.render(WINDOW);
    let tokens = lex::tokens(&rendered);
    match value_type(&rendered, &tokens) {
        Ok(found) => {
            result(&found, &field, findings);
            swallowed_parenthesis(query, &field, options, findings);
            if options.lints {
                lint::query(&rendered, &tokens, &template, &field, findings);
            }
        }
        Err(wrong) => {
            let severity =
                if options.promql == PromqlCheck::Warn { Severity::Warning } else { Severity::Error };
            let offset = wrong.range.map(|range| template.source_offset(range.start, WINDOW));
            let found = finding(severity, "query-promql", field, wrong.message).offset(offset);
            findings.push(Finding { help: wrong.help, ..found });
        }
    }
}

fn window(
    query: &str,
    template: &Template,
    field: &Field,
    options: &CheckOptions,
    findings: &mut Vec<Finding>,
) {
    if template.uses() == 0 {
        findings.push(
            error("query-window", field.clone(), "the query does not use the window".to_owned())
                .help("write `{{.window}}` as the range, as in `rate(http_requests_total[{{.window}}])`"),
        );
    } else if options.profile == Profile::Sloth && !mentions_window(query) {
        findings.push(
            error(
                "query-window-spelling",
                field.clone(),
                "Sloth does not recognise this spelling of the window".to_owned(),
            )
            .help("write it as `{{.window}}` at least once"),
        );
    }
}

/// A rule records an instant vector or a number.
fn result(found: &ValueType, field: &Field, findings: &mut Vec<Finding>) {
    let (what, help) = match found {
        ValueType::Matrix => ("a range of samples", Some("wrap it in a function such as `rate(...)`")),
        ValueType::String => ("a text", None),
        ValueType::Vector | ValueType::Scalar => return,
    };
    let found =
        error("query-type", field.clone(), format!("the query yields {what}, which no rule can record"));
    findings.push(Finding { help: help.map(str::to_owned), ..found });
}

/// Profile `sloth` puts `)` right behind the query. In the last line's comment it would be lost, and with it the rule file.
fn swallowed_parenthesis(query: &str, field: &Field, options: &CheckOptions, findings: &mut Vec<Finding>) {
    if options.profile != Profile::Sloth || !query.contains('#') {
        return;
    }
    let last_line = query.rsplit('\n').next().unwrap_or_default();
    let in_comment = lex::tokens(query).last().is_none_or(|token| {
        let after = query.get(token.range.end..).unwrap_or_default();
        after.contains('#') && !after.ends_with('\n') && last_line.contains('#')
    });
    if in_comment {
        findings.push(
            error(
                "query-comment",
                field.clone(),
                "the query ends in a comment, which would swallow the text behind it".to_owned(),
            )
            .help("end the query with a line break, or use profile lean"),
        );
    }
}
