//! From parser events to documents.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput, Tag};

use super::hint;
use super::tree::{Document, Raw, Shape, Style};
use crate::diagnostic::{Diagnostic, Level, Place};
use crate::source::{Source, Span};

/// What a source may cost its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one source.
    pub bytes: usize,
    /// Nodes of one document with every alias counted as all that it stands for.
    pub nodes: u64,
    /// Collections inside each other, aliases followed. At most 255, which is what the parser takes.
    pub depth: usize,
}

impl Default for Limits {
    /// 256 MiB, 10 million nodes, 100 levels.
    fn default() -> Self {
        Self { bytes: 256 << 20, nodes: 10_000_000, depth: 100 }
    }
}

/// Reads all documents of a source.
///
/// # Errors
/// The first thing that is not YAML or is beyond the limits. [`documents`] goes on after an error.
pub fn parse(source: &Source, limits: Limits) -> Result<Vec<Document>, Diagnostic> {
    documents(source, limits).collect()
}

/// The documents of a source, one after the other. After an error it goes on with the next document.
#[must_use]
pub fn documents(source: &Source, limits: Limits) -> Documents<'_> {
    let text = source.text();
    let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = options.flow_nesting_limit.min(limits.depth);
    options.block_nesting_limit = options.block_nesting_limit.min(limits.depth);
    // As libyaml: a block scalar that ends with the text has no final line feed that is not there.
    options.block_scalar_eof_without_line_feed = true;
    let body = text.get(bom..).unwrap_or_default();
    let refused = (text.len() > limits.bytes.min(u32::MAX as usize)).then(|| {
        let message = format!("the file has {} bytes, {} are allowed", text.len(), limits.bytes);
        error(source, Span::default(), "yaml-too-large", message)
    });
    Documents {
        source,
        limits,
        body,
        bom,
        parser: Parser::new_from_str_with_options(body, options),
        index: 0,
        refused,
        done: false,
    }
}

/// Iterator of [`documents`].
pub struct Documents<'s> {
    source: &'s Source,
    limits: Limits,
    body: &'s str,
    bom: usize,
    parser: Parser<'s, StrInput<'s>>,
    index: usize,
    refused: Option<Diagnostic>,
    done: bool,
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, Diagnostic>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(refused) = self.refused.take() {
            self.done = true;
            return Some(Err(refused));
        }
        if self.done {
            return None;
        }
        let result = self.read().transpose();
        match &result {
            None => self.done = true,
            Some(Ok(_)) => self.index += 1,
            Some(Err(_)) => {
                self.index += 1;
                self.done = !matches!(self.parser.proceed_next_document(), Ok(true));
            }
        }
        result
    }
}

/// A collection that is still open.
struct Frame {
    at: usize,
    anchor: usize,
    /// Nodes in it so far with aliases written out.
    expanded: u64,
    /// Levels below it.
    height: usize,
}

/// What an alias stands for.
#[derive(Clone, Copy)]
enum Anchor {
    /// Still being read: an alias here would contain itself.
    Open,
    Done {
        at: u32,
        expanded: u64,
        height: usize,
    },
}

impl Documents<'_> {
    /// Reads up to the end of the next document.
    fn read(&mut self) -> Result<Option<Document>, Diagnostic> {
        let mut build = Build {
            document: Document {
                source: self.source.clone(),
                nodes: Vec::new(),
                owned: String::new(),
                tags: Vec::new(),
                index: self.index,
            },
            body: self.body,
            bom: self.bom,
            limits: self.limits,
            frames: Vec::new(),
            anchors: HashMap::new(),
        };
        while let Some(event) = self.parser.next_event() {
            let (event, span) =
                event.map_err(|failure| hint::syntax_error(self.source, self.bom, &failure))?;
            let place = |marker: granit_parser::Marker| {
                u32::try_from(self.bom + marker.byte_offset().unwrap_or_default()).unwrap_or(u32::MAX)
            };
            let span = Span { start: place(span.start), end: place(span.end) };
            match event {
                Event::Scalar(text, style, anchor, tag) => build.scalar(text, style, anchor, tag, span),
                Event::SequenceStart(_, anchor, tag) => {
                    build.open(Shape::Sequence { end: 0 }, anchor, tag.as_deref(), span);
                    Ok(())
                }
                Event::MappingStart(_, anchor, tag) => {
                    build.open(Shape::Mapping { end: 0 }, anchor, tag.as_deref(), span);
                    Ok(())
                }
                Event::SequenceEnd | Event::MappingEnd => build.close(span),
                Event::Alias(anchor) => build.alias(anchor, span),
                Event::DocumentEnd => {
                    build.document.nodes.shrink_to_fit();
                    return Ok(Some(build.document));
                }
                _ => Ok(()),
            }?;
        }
        Ok(None)
    }
}

struct Build<'s> {
    document: Document,
    body: &'s str,
    bom: usize,
    limits: Limits,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchor>,
}

impl Build<'_> {
    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let len = to_u32(text.len());
        let borrowed = if let Cow::Borrowed(text) = text { self.verbatim(text) } else { None };
        let shape = match borrowed {
            Some(start) => Shape::Verbatim { start, len, style },
            None => {
                let start = to_u32(self.document.owned.len());
                self.document.owned.push_str(&text);
                Shape::Owned { start, len, style }
            }
        };
        let at = self.push(Raw { span, shape }, tag.as_deref());
        if anchor != 0 {
            self.anchors.insert(anchor, Anchor::Done { at, expanded: 1, height: 0 });
        }
        self.count(1, 0, span)
    }

    /// Where in the source a borrowed text stands.
    fn verbatim(&self, text: &str) -> Option<u32> {
        let start = (text.as_ptr() as usize).checked_sub(self.body.as_ptr() as usize)?;
        // A literal of the parser (such as the empty text of a missing value) is borrowed too, but from elsewhere.
        let same = self.body.get(start..start.checked_add(text.len())?)? == text;
        same.then(|| to_u32(self.bom + start))
    }

    fn push(&mut self, raw: Raw, tag: Option<&Tag>) -> u32 {
        let at = to_u32(self.document.nodes.len());
        self.document.nodes.push(raw);
        if let Some(tag) = tag {
            self.document.tags.push((at, format!("{}{}", tag.handle(), tag.suffix()).into()));
        }
        at
    }

    fn open(&mut self, shape: Shape, anchor: usize, tag: Option<&Tag>, span: Span) {
        let at = self.push(Raw { span, shape }, tag);
        if anchor != 0 {
            self.anchors.insert(anchor, Anchor::Open);
        }
        self.frames.push(Frame { at: at as usize, anchor, expanded: 1, height: 0 });
    }

    fn close(&mut self, span: Span) -> Result<(), Diagnostic> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let last = self.document.nodes.last().map_or(span.start, |node| node.span.end);
        let after = to_u32(self.document.nodes.len());
        if let Some(node) = self.document.nodes.get_mut(frame.at) {
            // A block collection "ends" where the next thing begins: its last child ends it better.
            let flow = self.document.source.text().as_bytes().get((span.end as usize).saturating_sub(1));
            node.span.end =
                if matches!(flow, Some(b']' | b'}')) { span.end } else { last.max(node.span.start) };
            node.shape = match node.shape {
                Shape::Sequence { .. } => Shape::Sequence { end: after },
                _ => Shape::Mapping { end: after },
            };
        }
        let height = frame.height + 1;
        if frame.anchor != 0 {
            let at = to_u32(frame.at);
            self.anchors.insert(frame.anchor, Anchor::Done { at, expanded: frame.expanded, height });
        }
        self.count(frame.expanded, height, span)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        match self.anchors.get(&anchor).copied() {
            Some(Anchor::Done { at, expanded, height }) => {
                self.push(Raw { span, shape: Shape::Alias { target: at } }, None);
                self.count(expanded, height, span)
            }
            Some(Anchor::Open) => {
                let message =
                    "this alias stands inside the node it refers to, so the node would contain itself";
                Err(error(&self.document.source, span, "yaml-alias-recursive", message.to_owned()))
            }
            // The parser refuses unknown anchors before this.
            None => Err(error(&self.document.source, span, "yaml-alias", "unknown anchor".to_owned())),
        }
    }

    /// Adds a finished node to the collection around it.
    fn count(&mut self, expanded: u64, height: usize, span: Span) -> Result<(), Diagnostic> {
        let depth = self.frames.len();
        let Some(parent) = self.frames.last_mut() else { return Ok(()) };
        parent.expanded = parent.expanded.saturating_add(expanded);
        parent.height = parent.height.max(height);
        if parent.expanded > self.limits.nodes {
            let message = format!(
                "with its aliases written out the document has more than {} nodes here",
                self.limits.nodes
            );
            let mut diagnostic = error(&self.document.source, span, "yaml-too-many-nodes", message);
            diagnostic.help = Some("write the repeated parts out, or split the file".to_owned());
            return Err(diagnostic);
        }
        if depth + height > self.limits.depth {
            let message = format!("nested deeper than {} levels", self.limits.depth);
            return Err(error(&self.document.source, span, "yaml-too-deep", message));
        }
        Ok(())
    }
}

fn to_u32(size: usize) -> u32 {
    // Sources are below 4 GiB (see `documents`), and a node takes at least one byte of one.
    u32::try_from(size).unwrap_or(u32::MAX)
}

pub(super) fn error(source: &Source, span: Span, code: &'static str, message: String) -> Diagnostic {
    Diagnostic {
        level: Level::Error,
        code,
        message,
        place: Some(Place { source: source.clone(), span }),
        related: Vec::new(),
        help: None,
    }
}
