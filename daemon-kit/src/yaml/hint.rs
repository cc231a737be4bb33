//! Syntax errors, with a word on the usual causes.

use granit_parser::{ErrorKind, ScanError};

use super::build::error;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

pub(super) fn syntax_error(source: &Source, bom: usize, failure: &ScanError) -> Diagnostic {
    let text = source.text();
    let at = (bom + failure.marker().byte_offset().unwrap_or_default()).min(text.len());
    let length =
        text.get(at..).and_then(|rest| rest.chars().next()).filter(|c| *c != '\n').map_or(0, char::len_utf8);
    let span = Span {
        start: u32::try_from(at).unwrap_or(u32::MAX),
        end: u32::try_from(at + length).unwrap_or(u32::MAX),
    };
    let code = match failure.kind() {
        ErrorKind::UnknownAnchor => "yaml-alias",
        ErrorKind::RecursionLimitExceeded => "yaml-too-deep",
        _ => "yaml-syntax",
    };
    let mut diagnostic = error(source, span, code, failure.info());
    diagnostic.help = help(text, at, failure.kind());
    diagnostic
}

fn help(text: &str, at: usize, kind: &ErrorKind) -> Option<String> {
    let before = text.get(..at)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..)?.lines().next().unwrap_or_default();
    let indent_has_tab = |line: &str| line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    let previous = before.get(..start)?.lines().next_back().unwrap_or_default();
    let next = text.get(start..)?.lines().nth(1).unwrap_or_default();
    if matches!(
        kind,
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation
    ) || indent_has_tab(line)
        || indent_has_tab(previous)
        || indent_has_tab(next)
    {
        return Some("indent with spaces: YAML does not allow tabs there".to_owned());
    }
    for line in [line, previous] {
        let value = line.split_once(": ").map(|(_, value)| value.trim_start());
        let item = line.trim_start().strip_prefix("- ").map(str::trim_start);
        if value.or(item).is_some_and(|value| value.starts_with("{{")) {
            return Some("a value that begins with {{ needs quotes around it".to_owned());
        }
        if value.is_some_and(|value| value.starts_with(['@', '`', '%', '*', '&', '!'])) {
            return Some("a value that begins with this character needs quotes around it".to_owned());
        }
        if value.is_some_and(|value| !value.starts_with(['"', '\'', '|', '>', '#']) && value.contains(": ")) {
            return Some("a value that contains \": \" needs quotes around it, or a block (|)".to_owned());
        }
    }
    match kind {
        ErrorKind::UnknownAnchor => {
            Some("define the anchor with &name above, in the same document".to_owned())
        }
        _ => None,
    }
}
