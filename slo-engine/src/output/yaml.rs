//! Rule groups as YAML, straight into a buffer: no tree is built.

use std::collections::BTreeMap;

use slo_engine_core::{Rule, RuleGroup, RuleKind};

use super::scalar::{self, Style};

/// YAML allows a key on one line with its value only up to 1,024 characters.
const LONGEST_SIMPLE_KEY: usize = 1_000;

/// Appends `key: value` with its line break.
pub(super) fn entry(out: &mut String, indent: usize, key: &str, value: &str) {
    pad(out, indent);
    entry_here(out, indent, key, value);
}

/// Appends `key:` with its line break; what follows is indented more, or is a sequence.
pub(super) fn head(out: &mut String, indent: usize, key: &str) {
    pad(out, indent);
    one_line(out, key);
    out.push_str(":\n");
}

/// Appends a mapping under its key; nothing if it is empty.
pub(super) fn map(out: &mut String, indent: usize, key: &str, entries: &BTreeMap<String, String>) {
    if entries.is_empty() {
        return;
    }
    head(out, indent, key);
    for (key, value) in entries {
        entry(out, indent + 2, key, value);
    }
}

/// As [`entry`], with a key that needs no quotes.
fn known(out: &mut String, indent: usize, key: &str, value: &str) {
    pad(out, indent);
    known_here(out, indent, key, value);
}

fn known_here(out: &mut String, indent: usize, key: &str, value: &str) {
    out.push_str(key);
    out.push_str(": ");
    scalar_line(out, indent, value);
}

/// Appends a group as an item of a sequence whose dash stands at `indent`.
pub(super) fn group(out: &mut String, indent: usize, group: &RuleGroup) {
    item(out, indent, "name", &group.name);
    let inner = indent + 2;
    if let Some(interval) = group.interval {
        known(out, inner, "interval", &interval.to_string());
    }
    pad(out, inner);
    out.push_str("rules:\n");
    for each in &group.rules {
        rule(out, inner, each);
    }
}

fn rule(out: &mut String, indent: usize, rule: &Rule) {
    let kind = match rule.kind {
        RuleKind::Record => "record",
        RuleKind::Alert => "alert",
    };
    item(out, indent, kind, &rule.name);
    let inner = indent + 2;
    known(out, inner, "expr", &rule.expr);
    if let Some(hold) = rule.hold {
        known(out, inner, "for", &hold.to_string());
    }
    map(out, inner, "labels", &rule.labels);
    map(out, inner, "annotations", &rule.annotations);
}

/// The first entry of a mapping that is an item of a sequence.
fn item(out: &mut String, indent: usize, key: &str, value: &str) {
    pad(out, indent);
    out.push_str("- ");
    known_here(out, indent + 2, key, value);
}

fn entry_here(out: &mut String, indent: usize, key: &str, value: &str) {
    if key.len() > LONGEST_SIMPLE_KEY {
        out.push_str("? ");
        one_line(out, key);
        out.push('\n');
        pad(out, indent);
    } else {
        one_line(out, key);
    }
    out.push_str(": ");
    scalar_line(out, indent, value);
}

/// A value, behind its key at this indentation, with its line break.
fn scalar_line(out: &mut String, indent: usize, value: &str) {
    match scalar::style(value, false) {
        Style::Plain => out.push_str(value),
        Style::Quoted => scalar::quote(value, out),
        Style::Literal => return literal(out, indent + 2, value),
    }
    out.push('\n');
}

fn one_line(out: &mut String, text: &str) {
    match scalar::style(text, true) {
        Style::Plain => out.push_str(text),
        Style::Quoted | Style::Literal => scalar::quote(text, out),
    }
}

fn literal(out: &mut String, indent: usize, text: &str) {
    let body = text.strip_suffix('\n');
    out.push_str(if body.is_some() { "|\n" } else { "|-\n" });
    for line in body.unwrap_or(text).split('\n') {
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn pad(out: &mut String, indent: usize) {
    const SPACES: &str = "                ";
    out.push_str(SPACES.get(..indent).unwrap_or(SPACES));
}
