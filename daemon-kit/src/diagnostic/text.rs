//! For people: file, line, column, the line itself and what to do.

use std::io::{self, Write};
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level as Title, Origin, Renderer, Snippet};

use super::{Diagnostic, Level, Place, visible};
use crate::source::Source;

/// Columns of the output; the terminal's own width would make the output differ from run to run.
const WIDTH: usize = 120;
/// Characters of a line that are shown on either side of the caret.
const CONTEXT: usize = 70;

pub(super) fn write(out: &mut dyn Write, diagnostic: &Diagnostic, color: bool) -> io::Result<()> {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(WIDTH).decor_style(DecorStyle::Ascii);
    let title = match diagnostic.level {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
        Level::Note => Title::NOTE,
    };
    let message = visible(&diagnostic.message);
    let mut group = Group::with_title(title.primary_title(message).id(diagnostic.code));
    if let Some(place) = &diagnostic.place {
        group = with_place(group, place, AnnotationKind::Primary, None);
    }
    for (place, why) in &diagnostic.related {
        group = with_place(group, place, AnnotationKind::Context, Some(visible(why)));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Title::HELP.message(visible(help)));
    }
    for line in renderer.render(&[group]).lines().filter(|line| !is_empty_origin(line)) {
        writeln!(out, "{line}")?;
    }
    writeln!(out)
}

/// The renderer announces an excerpt by its path. Ours has none, since the place is printed already, and in a shortened
/// line only we know the column.
fn is_empty_origin(line: &str) -> bool {
    let mut escape = false;
    let shown = line.chars().filter(|c| {
        let hidden = escape || *c == '\u{1b}';
        escape = hidden && *c != 'm';
        !hidden && *c != ' '
    });
    shown.eq(":::".chars())
}

fn with_place<'a>(group: Group<'a>, place: &Place, kind: AnnotationKind, label: Option<String>) -> Group<'a> {
    let source = &place.source;
    let (line, column) = source.line_column(place.span.start);
    let origin = Origin::path(visible(source.name())).line(line).char_column(column);
    let group = group.element(origin);
    match (source.is_secret(), label) {
        (true, Some(label)) => group.element(Title::NOTE.message(label)),
        (true, None) => group,
        (false, label) => {
            let (text, span) = excerpt(source, line, place.span.range());
            group.element(Snippet::source(text).line_start(line).annotation(kind.span(span).label(label)))
        }
    }
}

/// The line, shortened around the span, and the part of the span that is in it: a node of many lines is marked on its
/// first, and a line of a megabyte is not printed.
fn excerpt(source: &Source, line: usize, span: Range<usize>) -> (String, Range<usize>) {
    let whole = source.line_range(line);
    let text = source.text().get(whole.clone()).unwrap_or_default();
    let inside = |offset: usize| floor(text, offset.saturating_sub(whole.start).min(text.len()));
    let (start, end) = (inside(span.start), inside(span.end));
    let from = back(text, start, CONTEXT);
    let to = forward(text, start, 2 * CONTEXT);
    let end = end.clamp(start, to);
    let (head, tail) = (if from > 0 { "..." } else { "" }, if to < text.len() { "..." } else { "" });
    let shown = format!("{head}{}{tail}", text.get(from..to).unwrap_or_default());
    let shift = |offset: usize| offset - from + head.len();
    (shown, shift(start)..shift(end))
}

fn floor(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn back(text: &str, offset: usize, characters: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    before.char_indices().rev().nth(characters).map_or(0, |(at, c)| at + c.len_utf8())
}

fn forward(text: &str, offset: usize, characters: usize) -> usize {
    let after = text.get(offset..).unwrap_or_default();
    after.char_indices().nth(characters).map_or(text.len(), |(at, _)| offset + at)
}
