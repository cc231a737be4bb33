//! Documents and their nodes.

use std::fmt;

use crate::source::{Source, Span};

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

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'d> {
    /// A scalar's text after unquoting, folding and unescaping.
    Scalar(&'d str, Style),
    /// A sequence: [`Node::items`].
    Sequence,
    /// A mapping: [`Node::pairs`] and [`Node::entries`].
    Mapping,
}

/// One node of the flat tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    pub(super) span: Span,
    pub(super) shape: Shape,
}

/// What [`Raw`] is; scalars point to their text, collections to the node after their last descendant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// The text is a part of the source.
    Verbatim {
        start: u32,
        len: u32,
        style: Style,
    },
    /// The text is a part of the document's own text.
    Owned {
        start: u32,
        len: u32,
        style: Style,
    },
    Sequence {
        end: u32,
    },
    Mapping {
        end: u32,
    },
    Alias {
        target: u32,
    },
}

/// One document of a stream.
#[derive(Clone)]
pub struct Document {
    pub(super) source: Source,
    pub(super) nodes: Vec<Raw>,
    pub(super) owned: String,
    /// Explicit tags, by node, ascending.
    pub(super) tags: Vec<(u32, Box<str>)>,
    pub(super) index: usize,
}

impl Document {
    /// The text it was read from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Its number in the stream, from 0; documents without content count too.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The root node; `None` for a document without content (only comments, nothing, or `null`).
    #[must_use]
    pub fn root(&self) -> Option<Node<'_>> {
        let root = Node { document: self, at: 0 };
        root.raw()?;
        (!root.is_null()).then_some(root)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.root() {
            Some(root) => root.fmt(f),
            None => f.write_str("~"),
        }
    }
}

/// A node: a handle that is cheap to copy.
#[derive(Clone, Copy)]
pub struct Node<'d> {
    document: &'d Document,
    at: u32,
}

impl<'d> Node<'d> {
    fn raw(self) -> Option<Raw> {
        self.document.nodes.get(self.at as usize).copied()
    }

    /// The node itself, or the anchored node when this is an alias.
    fn target(self) -> Self {
        match self.raw().map(|raw| raw.shape) {
            Some(Shape::Alias { target }) => Self { at: target, ..self },
            _ => self,
        }
    }

    /// Which document it belongs to.
    #[must_use]
    pub fn document(self) -> &'d Document {
        self.document
    }

    /// Where it stands; for an alias, where the alias stands.
    #[must_use]
    pub fn span(self) -> Span {
        self.raw().map(|raw| raw.span).unwrap_or_default()
    }

    /// Where its content stands; for an alias, where the anchored node stands.
    #[must_use]
    pub fn content_span(self) -> Span {
        self.target().span()
    }

    /// What it is; an alias is what its anchor is.
    #[must_use]
    pub fn kind(self) -> Kind<'d> {
        let slice = |text: &'d str, start: u32, len: u32| {
            text.get(start as usize..start as usize + len as usize).unwrap_or_default()
        };
        match self.target().raw().map(|raw| raw.shape) {
            Some(Shape::Verbatim { start, len, style }) => {
                Kind::Scalar(slice(self.document.source.text(), start, len), style)
            }
            Some(Shape::Owned { start, len, style }) => {
                Kind::Scalar(slice(&self.document.owned, start, len), style)
            }
            Some(Shape::Sequence { .. }) => Kind::Sequence,
            Some(Shape::Mapping { .. }) => Kind::Mapping,
            // An alias never points to an alias; a missing node cannot be made from outside.
            Some(Shape::Alias { .. }) | None => Kind::Scalar("", Style::Plain),
        }
    }

    /// Explicit tag such as `!!str`, in full (`tag:yaml.org,2002:str`).
    #[must_use]
    pub fn tag(self) -> Option<&'d str> {
        let at = self.target().at;
        let tags = &self.document.tags;
        let found = tags.binary_search_by_key(&at, |(node, _)| *node).ok()?;
        tags.get(found).map(|(_, tag)| &**tag)
    }

    /// Text and style of a scalar.
    #[must_use]
    pub fn scalar(self) -> Option<(&'d str, Style)> {
        match self.kind() {
            Kind::Scalar(text, style) => Some((text, style)),
            _ => None,
        }
    }

    /// Text of a scalar, whatever its style.
    #[must_use]
    pub fn text(self) -> Option<&'d str> {
        self.scalar().map(|(text, _)| text)
    }

    /// True for nothing, `~` and `null` in plain style without a tag.
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self.kind(), Kind::Scalar("" | "~" | "null" | "Null" | "NULL", Style::Plain))
            && self.tag().is_none()
    }

    /// True for a mapping.
    #[must_use]
    pub fn is_mapping(self) -> bool {
        self.kind() == Kind::Mapping
    }

    /// True for a sequence.
    #[must_use]
    pub fn is_sequence(self) -> bool {
        self.kind() == Kind::Sequence
    }

    /// The items of a sequence; nothing for any other node.
    #[must_use]
    pub fn items(self) -> Items<'d> {
        let node = self.target();
        match node.raw().map(|raw| raw.shape) {
            Some(Shape::Sequence { end }) => Items { document: self.document, at: node.at + 1, end },
            _ => Items { document: self.document, at: 0, end: 0 },
        }
    }

    /// Keys and values of a mapping as written, merge keys and duplicates included; nothing for any other node.
    #[must_use]
    pub fn pairs(self) -> Pairs<'d> {
        let node = self.target();
        match node.raw().map(|raw| raw.shape) {
            Some(Shape::Mapping { end }) => Pairs(Items { document: self.document, at: node.at + 1, end }),
            _ => Pairs(Items { document: self.document, at: 0, end: 0 }),
        }
    }

    /// Keys and values of a mapping with its merge keys (`<<`) replaced by what they merge, at their place.
    ///
    /// Whoever looks up a key takes the last entry, as `yaml.v2` does: a merge key overrides what stands before it and
    /// is overridden by what follows it. Of several merged mappings the first wins.
    ///
    /// # Errors
    /// The value of a merge key that is neither a mapping nor a sequence of mappings.
    pub fn entries(self) -> Result<Vec<(Self, Self)>, Self> {
        let mut entries = Vec::new();
        self.push_entries(&mut entries)?;
        Ok(entries)
    }

    fn push_entries(self, entries: &mut Vec<(Self, Self)>) -> Result<(), Self> {
        for (key, value) in self.pairs() {
            if !key.is_merge() {
                entries.push((key, value));
                continue;
            }
            match value.kind() {
                Kind::Mapping => value.push_entries(entries)?,
                Kind::Sequence => {
                    let merged: Vec<_> = value.items().collect();
                    for item in merged.into_iter().rev() {
                        if !item.is_mapping() {
                            return Err(item);
                        }
                        item.push_entries(entries)?;
                    }
                }
                Kind::Scalar(..) => return Err(value),
            }
        }
        Ok(())
    }

    /// True for the key `<<` of a merge.
    #[must_use]
    pub fn is_merge(self) -> bool {
        match self.scalar() {
            Some(("<<", Style::Plain)) => self.tag().is_none_or(|tag| tag == "tag:yaml.org,2002:merge"),
            Some(("<<", _)) => self.tag() == Some("tag:yaml.org,2002:merge"),
            _ => false,
        }
    }

    /// The value of a key, matched exactly; the last one when it is written twice. Merge keys are not followed.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        self.pairs().filter(|(name, _)| name.text() == Some(key)).last().map(|(_, value)| value)
    }

    /// The value of a key, an exact match before one that differs in case only, the last one when written twice.
    #[must_use]
    pub fn get_fold(self, key: &str) -> Option<Self> {
        let fold = |name: &str| name.eq_ignore_ascii_case(key);
        self.get(key).or_else(|| {
            self.pairs().filter(|(name, _)| name.text().is_some_and(fold)).last().map(|(_, value)| value)
        })
    }
}

/// Flow style, for tests and traces.
impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::Scalar(text, Style::Plain) => write!(f, "{text}"),
            Kind::Scalar(text, _) => write!(f, "{text:?}"),
            Kind::Sequence => f.debug_list().entries(self.items()).finish(),
            Kind::Mapping => f.debug_map().entries(self.pairs()).finish(),
        }
    }
}

/// Iterator over the items of a sequence.
#[derive(Clone, Debug)]
pub struct Items<'d> {
    document: &'d Document,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Items<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        if self.at >= self.end {
            return None;
        }
        let node = Node { document: self.document, at: self.at };
        self.at = match node.raw()?.shape {
            Shape::Sequence { end } | Shape::Mapping { end } => end,
            _ => self.at + 1,
        };
        Some(node)
    }
}

/// Iterator over the pairs of a mapping.
#[derive(Clone, Debug)]
pub struct Pairs<'d>(Items<'d>);

impl<'d> Iterator for Pairs<'d> {
    type Item = (Node<'d>, Node<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}
