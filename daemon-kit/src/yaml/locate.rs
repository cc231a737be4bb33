//! From a place in a scalar's text to its place in the source.

use crate::source::{Source, Span};

/// Where in the source a byte of a scalar's text stands. `span` is the scalar's, `text` what it reads.
///
/// Indentation, folding, quotes and escapes make the two differ, but none of them adds or drops a visible character
/// that is not part of an escape, so both are walked by their visible characters.
#[must_use]
pub fn locate(source: &Source, span: Span, text: &str, offset: usize) -> Span {
    let Some(raw) = source.text().get(span.start as usize..span.end as usize) else { return span };
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = text.get(..offset).unwrap_or_default();
    let mut visible = before.chars().filter(|c| !c.is_whitespace()).count();
    let mut chars = raw.char_indices().peekable();
    let mut quote = None;
    match raw.chars().next() {
        Some(mark @ ('"' | '\'')) => {
            quote = Some(mark);
            chars.next();
        }
        // The header of a block scalar.
        Some('|' | '>') => while chars.next().is_some_and(|(_, c)| c != '\n') {},
        _ => {}
    }
    let at = |byte: usize| {
        let start = span.start + u32::try_from(byte).unwrap_or_default();
        let length = raw.get(byte..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        Span { start, end: start + u32::try_from(length).unwrap_or_default() }
    };
    // White space directly before the place is stepped over one by one where the source has the same.
    let spaces = before.chars().rev().take_while(|c| c.is_whitespace()).count();
    while visible > 0 {
        let Some((_, c)) = chars.next() else { break };
        match (quote, c) {
            (Some('"'), '\\') => match chars.next().map(|(_, escaped)| escaped) {
                Some(letter @ ('x' | 'u' | 'U')) => {
                    for _ in 0..if letter == 'x' {
                        2
                    } else if letter == 'u' {
                        4
                    } else {
                        8
                    } {
                        chars.next();
                    }
                    visible -= 1;
                }
                Some('n' | 't' | 'r' | '\n' | ' ' | '\t') | None => {}
                Some(_) => visible -= 1,
            },
            (Some('\''), '\'') => {
                chars.next();
                visible -= 1;
            }
            (_, c) if !c.is_whitespace() => visible -= 1,
            _ => {}
        }
    }
    let mut left = spaces;
    let next_visible =
        text.get(offset..).and_then(|rest| rest.chars().next()).is_some_and(|c| !c.is_whitespace());
    loop {
        match chars.peek() {
            Some(&(_, c)) if c.is_whitespace() && (next_visible || left > 0) => {
                left = left.saturating_sub(1);
                chars.next();
            }
            Some(&(byte, _)) => return at(byte),
            None => return at(raw.trim_end().len().saturating_sub(usize::from(quote.is_some()))),
        }
    }
}
