//! A text with a name, and places in it.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A half-open byte range `start..end` of a [`Source`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// As a range of bytes.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A file's text under the name that messages show (a path, or `<stdin>`).
#[derive(Clone, Debug)]
pub struct Source(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    text: String,
    secret: bool,
    /// First byte of every line; made when the first place is asked for.
    lines: OnceLock<Box<[u32]>>,
}

impl Source {
    /// A named text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::with(name.into(), text.into(), false)
    }

    /// A named text that may hold secrets: messages say where, but never quote it.
    #[must_use]
    pub fn secret(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::with(name.into(), text.into(), true)
    }

    fn with(name: String, text: String, secret: bool) -> Self {
        Self(Arc::new(Inner { name, text, secret, lines: OnceLock::new() }))
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether messages must not quote the text.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.0.secret
    }

    /// Line and column of a byte offset, both from 1, the column in characters. Lines end with `\n` or `\r\n`.
    #[must_use]
    pub fn line_column(&self, offset: u32) -> (usize, usize) {
        let mut end = (offset as usize).min(self.text().len());
        while !self.text().is_char_boundary(end) {
            end -= 1;
        }
        let line = self.line_at(end);
        let start = self.line_range(line).start;
        (line, self.text().get(start..end).unwrap_or_default().chars().count() + 1)
    }

    /// The bytes of a line (counted from 1) without its end.
    #[must_use]
    pub fn line_range(&self, line: usize) -> Range<usize> {
        let starts = self.line_starts();
        let at = |index: usize| starts.get(index).map(|start| *start as usize);
        let start = at(line.saturating_sub(1)).unwrap_or(self.text().len());
        let end = at(line).map_or(self.text().len(), |next| next - 1).max(start);
        let end =
            if self.text().get(start..end).is_some_and(|text| text.ends_with('\r')) { end - 1 } else { end };
        start..end
    }

    fn line_at(&self, offset: usize) -> usize {
        self.line_starts().partition_point(|start| *start as usize <= offset).max(1)
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "spans are 32 bits wide, and so texts are below 4 GiB"
    )]
    fn line_starts(&self) -> &[u32] {
        self.0.lines.get_or_init(|| {
            let ends = self.0.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(ends.map(|(at, _)| at as u32 + 1)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let source = Source::new("x", "añb\r\n\n\tlast");
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(3), (1, 3), "ñ has two bytes");
        assert_eq!(source.line_column(2), (1, 2), "inside ñ");
        assert_eq!(source.line_column(6), (2, 1));
        assert_eq!(source.line_column(8), (3, 2));
        assert_eq!(source.line_column(999), (3, 6));
        assert_eq!(source.text().get(source.line_range(1)), Some("añb"));
        assert_eq!(source.text().get(source.line_range(2)), Some(""));
        assert_eq!(source.text().get(source.line_range(3)), Some("\tlast"));
        assert_eq!(source.line_range(4).len(), 0);
        assert_eq!(Source::new("empty", "").line_column(0), (1, 1));
    }
}
