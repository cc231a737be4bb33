//! Reading scalars one by one, keeping every error.

use daemon_kit::config::{Spanned, place};
use daemon_kit::diagnostic::{self, Diagnostic, Level};
use daemon_kit::source::{Source, Span};

use super::file::Text;
use super::value::Value;

/// The file being checked and what was found.
pub(super) struct Check<'s> {
    pub(super) source: &'s Source,
    diagnostics: Vec<Diagnostic>,
    quotable: bool,
}

impl<'s> Check<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self { source, diagnostics: Vec::new(), quotable: true }
    }

    /// Reads a scalar; `None` when it is absent or wrong, which is then told.
    pub(super) fn read<T: Value>(&mut self, text: &Option<Text>) -> Option<T> {
        self.value(text.as_ref()?)
    }

    /// Reads a scalar; the default when it is absent, or wrong, which is then told.
    pub(super) fn or<T: Value>(&mut self, text: &Option<Text>, default: T) -> T {
        self.read(text).unwrap_or(default)
    }

    /// Reads a scalar that is there.
    pub(super) fn value<T: Value>(&mut self, text: &Text) -> Option<T> {
        let value = T::parse(&text.value);
        if value.is_none() {
            let shown: String = text.value.chars().take(80).collect();
            self.error(text, "value", format!("`{shown}` is no {}", T::WHAT), T::HELP);
        }
        value
    }

    /// Reads a scalar that must be there; `of` is where it is missed.
    pub(super) fn needed<T: Value>(&mut self, text: &Option<Text>, key: &str, of: Span) -> Option<T> {
        if text.is_none() {
            self.missing(key, of, T::HELP);
        }
        self.read(text)
    }

    pub(super) fn missing(&mut self, key: &str, of: Span, help: &str) {
        let message = format!("`{key}` is missing");
        self.diagnostics.push(Diagnostic::error("missing", message).at(self.source, of).help(help));
    }

    pub(super) fn add(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether something of this kind was found.
    pub(super) fn has(&self, code: &str) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.code == code)
    }

    /// Everything that was found, in order of place.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        if !self.quotable {
            let hidden = Source::secret(self.source.name(), self.source.text());
            for diagnostic in &mut self.diagnostics {
                let related = diagnostic.related.iter_mut().map(|(place, _)| place);
                diagnostic.place.iter_mut().chain(related).for_each(|place| place.source = hidden.clone());
            }
        }
        diagnostic::sort(&mut self.diagnostics);
        self.diagnostics
    }

    pub(super) fn place<T>(&self, value: &Spanned<T>) -> Span {
        place(self.source, value)
    }

    pub(super) fn error<T>(
        &mut self,
        at: &Spanned<T>,
        code: &'static str,
        message: impl Into<String>,
        help: &str,
    ) {
        self.push(Level::Error, at, code, message, help);
    }

    /// A secret stands in the file: from here on no message quotes it.
    pub(super) fn secret<T>(&mut self, at: &Spanned<T>, message: impl Into<String>, help: &str) {
        self.quotable = false;
        self.error(at, "secret", message, help);
    }

    pub(super) fn warning<T>(
        &mut self,
        at: &Spanned<T>,
        code: &'static str,
        message: impl Into<String>,
        help: &str,
    ) {
        self.push(Level::Warning, at, code, message, help);
    }

    fn push<T>(
        &mut self,
        level: Level,
        at: &Spanned<T>,
        code: &'static str,
        message: impl Into<String>,
        help: &str,
    ) {
        let diagnostic = Diagnostic::new(level, code, message).at(self.source, self.place(at));
        self.diagnostics.push(if help.is_empty() { diagnostic } else { diagnostic.help(help) });
    }
}
