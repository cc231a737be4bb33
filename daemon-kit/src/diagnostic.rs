//! What is wrong, where, and what would be right.
//!
//! The same list of [`Diagnostic`]s is written for people ([`Format::Text`]), for scripts ([`Format::Json`]) and as
//! annotations of a pull request ([`Format::Github`]). Quoting a source that is marked secret is refused in all three.

mod github;
mod json;
mod text;

use std::cmp::Ordering;
use std::io::{self, Write};

use crate::source::{Source, Span};

pub use json::{diagnostic_to_json, report_to_json};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The input cannot be used.
    Error,
    /// It can, but hardly as meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl Level {
    /// `error`, `warning` or `note`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A place in a source.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which text.
    pub source: Source,
    /// Where in it.
    pub span: Span,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad.
    pub level: Level,
    /// Stable kebab-case name for scripts.
    pub code: &'static str,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where; `None` for a whole run.
    pub place: Option<Place>,
    /// Other places that belong to it, each with a word on why.
    pub related: Vec<(Place, String)>,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A message without a place, related places and help.
    #[must_use]
    pub fn new(level: Level, code: &'static str, message: impl Into<String>) -> Self {
        Self { level, code, message: message.into(), place: None, related: Vec::new(), help: None }
    }

    /// An error.
    #[must_use]
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Error, code, message)
    }

    /// A warning.
    #[must_use]
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, message)
    }

    /// A note.
    #[must_use]
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Note, code, message)
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, source: &Source, span: Span) -> Self {
        self.place = Some(Place { source: source.clone(), span });
        self
    }

    /// Says what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names another place and why it matters.
    #[must_use]
    pub fn related(mut self, source: &Source, span: Span, why: impl Into<String>) -> Self {
        self.related.push((Place { source: source.clone(), span }, why.into()));
        self
    }
}

/// How many diagnostics of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
}

impl Summary {
    /// Counts.
    #[must_use]
    pub fn of(diagnostics: &[Diagnostic]) -> Self {
        diagnostics.iter().fold(Self::default(), |mut summary, diagnostic| {
            summary.add(diagnostic.level);
            summary
        })
    }

    /// Counts one more.
    pub fn add(&mut self, level: Level) {
        match level {
            Level::Error => self.errors += 1,
            Level::Warning => self.warnings += 1,
            Level::Note => self.notes += 1,
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [(self.errors, "error"), (self.warnings, "warning"), (self.notes, "note")];
        let mut first = true;
        // Zero errors are worth saying, zero notes are not.
        for (count, name) in parts.into_iter().filter(|(count, name)| *count > 0 || *name == "error") {
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{}{count} {name}{plural}", if first { "" } else { ", " })?;
            first = false;
        }
        Ok(())
    }
}

/// Who reads the diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// People.
    Text {
        /// With terminal colours.
        color: bool,
    },
    /// Scripts: one JSON object per line. See [`report_to_json`] for a whole report.
    Json,
    /// GitHub: workflow commands that annotate the lines of a pull request.
    Github,
}

/// Sorts by file and place, the worst first where two share one; those without a place come last.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| match (&a.place, &b.place) {
        (Some(a_place), Some(b_place)) => a_place
            .source
            .name()
            .cmp(b_place.source.name())
            .then(a_place.span.start.cmp(&b_place.span.start))
            .then(a.level.cmp(&b.level)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.level.cmp(&b.level),
    });
}

/// Writes one diagnostic.
///
/// # Errors
/// The stream's.
pub fn write(out: &mut dyn Write, diagnostic: &Diagnostic, format: Format) -> io::Result<()> {
    match format {
        Format::Text { color } => text::write(out, diagnostic, color),
        Format::Json => writeln!(out, "{}", diagnostic_to_json(diagnostic)),
        Format::Github => github::write(out, diagnostic),
    }
}

/// Keeps a message from acting on the terminal: control characters other than newlines become visible.
fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escape = c.is_control() && c != '\n';
            let escaped = escape.then(|| c.escape_default());
            escaped.into_iter().flatten().chain((!escape).then_some(c))
        })
        .collect()
}

#[cfg(test)]
mod tests;
