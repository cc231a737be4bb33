//! `{{.window}}` in a query, in every spelling that Go's `text/template` takes for that one variable.
//!
//! Understood: white space and newlines inside the braces, trim markers (`{{-` and `-}}`, which eat the white space of the
//! text beside them), comments (`{{/* … */}}`), `{{$.window}}`, and parentheses (`{{(.window)}}`, `{{(.).window}}`). Any
//! other action is an error that names it: a query is not a place for a programming language, and what an unknown
//! action would have printed cannot be guessed.
//!
//! Source of the rules: the lexer and parser of Go's `text/template/parse`; `tests` hold cases that Go itself decided.

mod action;

use action::{Action, SPACE};

/// A query, split at its window actions once so that each window costs one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// All text between actions, in order.
    text: String,
    /// Where in `text` the window goes; ascending, several may share a place.
    windows: Vec<usize>,
    /// Where each piece of text begins, here and in the query.
    pieces: Vec<(usize, usize)>,
}

/// An action that is no spelling of `{{.window}}`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{action}`: {problem}")]
pub struct TemplateError {
    /// The action as written, shortened when long.
    pub action: String,
    /// Where it starts, in bytes.
    pub offset: usize,
    /// How many bytes it takes.
    pub length: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// `{{` without `}}`.
    #[error("the action is not closed")]
    Unclosed,
    /// `{{/*` without `*/`.
    #[error("the comment is not closed")]
    UnclosedComment,
    /// Something stands between `*/` and `}}`.
    #[error("a comment must end right before the closing braces")]
    CommentWithMore,
    /// Nothing between the braces.
    #[error("the action is empty")]
    Empty,
    /// Anything else.
    #[error("the only action understood is `{{{{.window}}}}`")]
    Unknown,
}

impl TemplateError {
    /// What to write instead, for the mistakes that are made.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let inner: String = self.action.chars().filter(|c| !" \t\r\n{}-".contains(*c)).collect();
        let lower = inner.trim_start_matches(['.', '$', '(']).trim_end_matches(')').to_ascii_lowercase();
        if matches!(
            lower.as_str(),
            "window" | "windows" | "range" | "interval" | "rate_interval" | "__rate_interval"
        ) {
            return Some("write `{{.window}}`".to_owned());
        }
        match self.problem {
            Problem::Unclosed => Some("close it with `}}`".to_owned()),
            Problem::UnclosedComment => Some("close it with `*/}}`".to_owned()),
            Problem::CommentWithMore => {
                Some("write `{{/* comment */}}` or `{{- /* comment */ -}}`".to_owned())
            }
            Problem::Empty => Some("write `{{.window}}`".to_owned()),
            Problem::Unknown if inner.contains("$labels") || inner.contains("$value") => {
                Some("alert templates work in annotations, not in queries".to_owned())
            }
            Problem::Unknown => None,
        }
    }
}

impl Template {
    /// Reads a query.
    ///
    /// ```
    /// use slo_engine_core::template::Template;
    /// let query = Template::parse("sum(rate(http_requests_total[{{ .window }}]))").unwrap();
    /// assert_eq!(query.render("5m"), "sum(rate(http_requests_total[5m]))");
    /// ```
    ///
    /// # Errors
    /// The first action that is no spelling of `{{.window}}`.
    pub fn parse(query: &str) -> Result<Self, TemplateError> {
        let mut template =
            Self { text: String::with_capacity(query.len()), windows: Vec::new(), pieces: Vec::new() };
        let mut rest = query;
        let mut trim_start = false;
        loop {
            let opened = rest.find("{{");
            let (text, braces) = rest.split_at(opened.unwrap_or(rest.len()));
            let whole = text.len();
            let text = if trim_start { text.trim_start_matches(SPACE) } else { text };
            template.pieces.push((template.text.len(), query.len() - rest.len() + whole - text.len()));
            if opened.is_none() {
                template.text.push_str(text);
                template.text.shrink_to_fit();
                return Ok(template);
            }
            let (action, after) = Action::read(braces).map_err(|(problem, length)| TemplateError {
                action: shorten(braces.get(..length).unwrap_or(braces)),
                offset: query.len() - braces.len(),
                length,
                problem,
            })?;
            template.text.push_str(if action.trims_before { text.trim_end_matches(SPACE) } else { text });
            if action.is_window {
                template.windows.push(template.text.len());
            }
            trim_start = action.trims_after;
            rest = after;
        }
    }

    /// The query with a window (a Prometheus duration) in place of every action.
    #[must_use]
    pub fn render(&self, window: &str) -> String {
        let mut out = String::with_capacity(self.text.len() + self.windows.len() * window.len());
        self.render_into(window, &mut out);
        out
    }

    /// As [`Self::render`], appended to `out`.
    pub fn render_into(&self, window: &str, out: &mut String) {
        let mut from = 0;
        for at in &self.windows {
            out.push_str(self.text.get(from..*at).unwrap_or_default());
            out.push_str(window);
            from = *at;
        }
        out.push_str(self.text.get(from..).unwrap_or_default());
    }

    /// Where in the query a byte of the rendered text comes from; a byte of a window comes from its action.
    #[must_use]
    pub fn source_offset(&self, rendered: usize, window: &str) -> usize {
        // Without the windows before it, the offset is one of `text`.
        let mut at = rendered;
        for (passed, start) in self.windows.iter().enumerate() {
            if at < *start {
                break;
            }
            if at < start + window.len() {
                // Inside the window: blame the end of the text before it.
                let (from, source) = self.pieces.get(passed).copied().unwrap_or_default();
                return source + (start - from);
            }
            at -= window.len();
        }
        let later = self.pieces.iter().rev().find(|(from, _)| *from <= at).copied().unwrap_or_default();
        later.1 + (at - later.0)
    }

    /// Where the windows stand in the rendered text.
    pub fn window_offsets(&self, window: &str) -> impl Iterator<Item = usize> {
        let length = window.len();
        self.windows.iter().enumerate().map(move |(index, at)| at + index * length)
    }

    /// How many times the window is used.
    #[must_use]
    pub fn uses(&self) -> usize {
        self.windows.len()
    }
}

/// Sloth's own condition on a query: at least one action in the plain spelling, `{{ *\.window *}}` as a regular
/// expression.
#[must_use]
pub fn mentions_window(query: &str) -> bool {
    query.match_indices(".window").any(|(at, name)| {
        let (before, after) = (query.get(..at), query.get(at + name.len()..));
        before.is_some_and(|before| before.trim_end_matches(' ').ends_with("{{"))
            && after.is_some_and(|after| after.trim_start_matches(' ').starts_with("}}"))
    })
}

fn shorten(action: &str) -> String {
    const LONGEST: usize = 60;
    let one_line = action.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LONGEST) {
        None => one_line,
        Some((end, _)) => format!("{}...", one_line.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
