//! What is wrong, where, and what would be right.

use crate::source::{Source, Span};

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
