//! YAML as a tree in which every node knows its place.
//!
//! Scalars stay text: what `yes` or `010` means is decided by whoever reads the tree, because formats differ in it.

use std::sync::Arc;

use crate::source::Span;

/// How a scalar was written. Only a plain one may be a number, a boolean or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No quotes.
    Plain,
    /// `'…'`
    SingleQuoted,
    /// `"…"`
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// A node with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands (for an alias, where the alias stands).
    pub span: Span,
    /// Explicit tag such as `!!str`, in full (`tag:yaml.org,2002:str`).
    pub tag: Option<Box<str>>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A scalar's text after unquoting, folding and unescaping.
    Scalar(Box<str>, Style),
    /// A sequence. Shared, because an alias is the node of its anchor again.
    Sequence(Arc<[Node]>),
    /// A mapping in written order, duplicates included.
    Mapping(Arc<[(Node, Node)]>),
}
