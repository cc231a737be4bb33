//! Workflow commands: `::error file=…,line=…,col=…::message`.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{Diagnostic, Level};

pub(super) fn write(out: &mut dyn Write, diagnostic: &Diagnostic) -> io::Result<()> {
    let command = match diagnostic.level {
        Level::Note => "notice",
        level => level.name(),
    };
    write!(out, "::{command} ")?;
    if let Some(place) = &diagnostic.place {
        let (line, column) = place.source.line_column(place.span.start);
        let (end_line, end_column) = place.source.line_column(place.span.end);
        write!(out, "file={},line={line},col={column}", property(place.source.name()))?;
        // Columns of an end on another line would be read as columns of the first.
        if end_line == line {
            write!(out, ",endColumn={end_column}")?;
        } else {
            write!(out, ",endLine={end_line}")?;
        }
        write!(out, ",")?;
    }
    let mut message = diagnostic.message.clone();
    for (place, why) in &diagnostic.related {
        let (line, column) = place.source.line_column(place.span.start);
        message.push_str(&format!("\n{why}: {}:{line}:{column}", place.source.name()));
    }
    if let Some(help) = &diagnostic.help {
        message.push_str("\nhelp: ");
        message.push_str(help);
    }
    writeln!(out, "title={}::{}", property(diagnostic.code), data(&message))
}

fn data(text: &str) -> Cow<'_, str> {
    escape(text, &['%', '\r', '\n'])
}

fn property(text: &str) -> Cow<'_, str> {
    escape(text, &['%', '\r', '\n', ':', ','])
}

fn escape<'a>(text: &'a str, special: &[char]) -> Cow<'a, str> {
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if special.contains(&c) {
            escaped.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}
