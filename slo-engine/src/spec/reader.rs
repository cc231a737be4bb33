//! Reads a tree as one of the spec formats: which keys match, what becomes text, what is said about the rest.

use std::borrow::Cow;
use std::collections::BTreeMap;

use daemon_kit::diagnostic::{Diagnostic, Level};
use daemon_kit::source::{Source, Span};
use daemon_kit::yaml::{Kind, Node, Style};

use super::scalar::{self, Value};
use super::suggest;

/// How a format reads YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `prometheus/v1`: keys match whatever their case, numbers and booleans become text where text is wanted.
    Sloth,
    /// Kubernetes objects: keys in camel case match exactly, text must be text.
    Kubernetes,
    /// OpenSLO: keys match exactly, every scalar is text as written.
    OpenSlo,
}

/// A text with its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) span: Span,
}

/// Texts by key, each with the place of its value.
pub(crate) type TextMap = BTreeMap<String, Text>;

/// Reads nodes and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a Source,
    pub(crate) dialect: Dialect,
    pub(crate) diagnostics: &'a mut Vec<Diagnostic>,
    /// Errors so far; compare before and after to learn whether a part is usable.
    pub(crate) errors: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source, dialect: Dialect, diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        Self { source, dialect, diagnostics, errors: 0 }
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.level == Level::Error);
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error(code, message).at(self.source, span));
    }

    pub(crate) fn error_help(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report(Diagnostic::error(code, message).at(self.source, span).help(help));
    }

    fn wrong_type(&mut self, node: Node<'_>, what: &str, wanted: &str) {
        let found = match node.kind() {
            Kind::Mapping => "a mapping",
            Kind::Sequence => "a list",
            Kind::Scalar(..) => scalar::value(node).map_or("null", |value| value.kind()),
        };
        self.error("wrong-type", node.span(), format!("`{what}` must be {wanted}, but is {found}"));
    }

    /// The known keys of a mapping with their values. A key written twice counts once, with its last value; null is a
    /// mapping without keys. `known` are the names in snake case, which Kubernetes objects write in camel case.
    pub(crate) fn fields<'d>(
        &mut self,
        node: Node<'d>,
        what: &str,
        known: &[&'static str],
    ) -> Vec<(&'static str, Node<'d>)> {
        let mut fields = Vec::new();
        for (name, key, value) in self.keyed(node, what) {
            match known
                .iter()
                .find(|known| self.spells(&name, known))
                .or_else(|| known.iter().find(|known| self.dialect == Dialect::Sloth && folds(&name, known)))
            {
                Some(known) => fields.push((*known, value)),
                None => self.unknown_key(&name, key.span(), what, known),
            }
        }
        fields
    }

    /// All keys of a mapping in the order in which Go assigns them.
    fn keyed<'d>(&mut self, node: Node<'d>, what: &str) -> Vec<(Cow<'d, str>, Node<'d>, Node<'d>)> {
        if node.is_null() {
            return Vec::new();
        }
        if !node.is_mapping() {
            self.wrong_type(node, what, "a mapping");
            return Vec::new();
        }
        let entries = match node.entries() {
            Ok(entries) => entries,
            Err(merged) => {
                self.error(
                    "merge-key",
                    merged.span(),
                    "a merge key (`<<`) takes a mapping or a list of mappings",
                );
                return Vec::new();
            }
        };
        let whole = node.content_span();
        let written_here = |key: Node<'_>| key.span().start >= whole.start && key.span().end <= whole.end;
        let mut keyed: Vec<(Cow<'d, str>, Node<'d>, Node<'d>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = match self.dialect {
                Dialect::OpenSlo => key.text().map(Cow::Borrowed),
                Dialect::Sloth | Dialect::Kubernetes => scalar::key(key),
            };
            let Some(name) = name else {
                self.error("wrong-key", key.span(), format!("a key in `{what}` must be text"));
                continue;
            };
            keyed.push((name, key, value));
        }
        // Stable: of equal names the last written one stays last.
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        let mut unique: Vec<(Cow<'d, str>, Node<'d>, Node<'d>)> = Vec::with_capacity(keyed.len());
        for entry in keyed {
            match unique.last_mut() {
                Some(last) if last.0 == entry.0 => {
                    if written_here(last.1) && written_here(entry.1) {
                        let warning = Diagnostic::warning(
                            "duplicate-key",
                            format!("key `{}` is written twice, the last one wins", entry.0),
                        )
                        .at(self.source, entry.1.span())
                        .related(self.source, last.1.span(), "first written here");
                        self.report(warning);
                    }
                    *last = entry;
                }
                _ => unique.push(entry),
            }
        }
        unique
    }

    /// Whether a written key is a known name as this dialect spells it.
    fn spells(&self, written: &str, known: &str) -> bool {
        match self.dialect {
            Dialect::Sloth => written == known,
            Dialect::Kubernetes | Dialect::OpenSlo => {
                let mut upper = false;
                let camel = known.chars().filter_map(|c| {
                    let raised = std::mem::replace(&mut upper, c == '_');
                    (c != '_').then_some(if raised { c.to_ascii_uppercase() } else { c })
                });
                camel.eq(written.chars())
            }
        }
    }

    pub(crate) fn camel(&self, known: &str) -> String {
        if self.dialect == Dialect::Sloth {
            return known.to_owned();
        }
        let mut parts = known.split('_');
        let mut name = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let mut letters = part.chars();
            name.extend(letters.next().map(|c| c.to_ascii_uppercase()));
            name.push_str(letters.as_str());
        }
        name
    }

    fn unknown_key(&mut self, name: &str, span: Span, what: &str, known: &[&'static str]) {
        // The usual place for anchors that are used elsewhere.
        if name.starts_with("x-") {
            return;
        }
        let mut warning =
            Diagnostic::warning("unknown-key", format!("unknown key `{name}` in `{what}` is ignored"))
                .at(self.source, span);
        let names: Vec<String> = known.iter().map(|known| self.camel(known)).collect();
        if let Some(meant) = suggest::nearest(name, names.iter().map(String::as_str)) {
            warning = warning.help(format!("did you mean `{meant}`?"));
        }
        self.report(warning);
    }

    /// The text of a value; null leaves what was there (nothing).
    pub(crate) fn text(&mut self, node: Node<'_>, what: &str) -> Option<Text> {
        let Some(value) = scalar::value(node) else {
            self.wrong_type(node, what, "text");
            return None;
        };
        let written = node.text().unwrap_or_default();
        let text = match (self.dialect, value) {
            (_, Value::Null) => return None,
            (_, Value::Invalid(why)) => {
                self.error("wrong-type", node.span(), format!("`{what}`: {why}"));
                return None;
            }
            (_, Value::Text(text)) => ends_with_document(node, text),
            (Dialect::OpenSlo, _) => written.to_owned(),
            (Dialect::Sloth, value) => {
                let text = value.coerced().unwrap_or_default();
                if text != written {
                    let warning = Diagnostic::warning(
                        "coerced-scalar",
                        format!("`{written}` is {} in YAML 1.1, so `{what}` reads `{text}`", value.kind()),
                    );
                    let quoted = written.replace('\'', "''");
                    self.report(warning.at(self.source, node.span()).help(format!("quote it: '{quoted}'")));
                }
                text
            }
            (Dialect::Kubernetes, value) => {
                let quoted = written.replace('\'', "''");
                let message = format!("`{what}` must be text, but is {}", value.kind());
                self.error_help("wrong-type", node.span(), message, format!("quote it: '{quoted}'"));
                return None;
            }
        };
        Some(Text { value: text, span: node.span() })
    }

    /// Texts by key, over what is there already; a null value is the empty text, null for all of them removes them.
    pub(crate) fn texts(&mut self, node: Node<'_>, what: &str, into: &mut TextMap) {
        if node.is_null() {
            into.clear();
        }
        for (name, _, value) in self.keyed(node, what) {
            let inner = format!("{what}.{name}");
            let before = self.errors;
            let text = self.text(value, &inner);
            if self.errors == before {
                into.insert(
                    name.into_owned(),
                    text.unwrap_or(Text { value: String::new(), span: value.span() }),
                );
            }
        }
    }

    /// `true` or `false`; null leaves what was there.
    pub(crate) fn boolean(&mut self, node: Node<'_>, what: &str) -> Option<bool> {
        match scalar::value(node) {
            Some(Value::Bool(value)) => Some(value),
            Some(Value::Null) => None,
            _ => {
                self.wrong_type(node, what, "true or false");
                None
            }
        }
    }

    /// A finite number; null leaves what was there.
    pub(crate) fn number(&mut self, node: Node<'_>, what: &str) -> Option<f64> {
        let value = scalar::value(node);
        if value == Some(Value::Null) {
            return None;
        }
        let number = value.as_ref().and_then(Value::number);
        if number.is_some_and(f64::is_finite) {
            return number;
        }
        match value {
            Some(Value::Text(text)) if text.trim().parse::<f64>().is_ok() => {
                let message = format!("`{what}` must be a number, but is text");
                self.error_help("wrong-type", node.span(), message, "write it without quotes");
            }
            _ => self.wrong_type(node, what, "a finite number"),
        }
        None
    }

    /// The items of a list; null is a list without items.
    pub(crate) fn list<'d>(&mut self, node: Node<'d>, what: &str) -> Vec<Node<'d>> {
        if !node.is_null() && !node.is_sequence() {
            self.wrong_type(node, what, "a list");
        }
        node.items().collect()
    }
}

/// Sloth trims each document before it parses it, and a block scalar at its very end then has no final line feed.
fn ends_with_document(node: Node<'_>, text: Cow<'_, str>) -> String {
    let block = matches!(node.scalar(), Some((_, Style::Literal | Style::Folded)));
    if !block || !text.ends_with(['\n', ' ', '\t']) {
        return text.into_owned();
    }
    let span = node.content_span();
    let source = node.document().source().text();
    let line = source
        .get(..span.end as usize)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |newline| newline + 1);
    let rest = source.get(line..).unwrap_or_default();
    // The scalar may end behind its last line, or with the indentation of the next.
    let skip = usize::from(source.get(line..span.end as usize).is_some_and(|text| !text.trim().is_empty()));
    for line in rest.lines().skip(skip) {
        if line.starts_with("---") {
            break;
        }
        if !line.trim().is_empty() && !line.starts_with('#') {
            return text.into_owned();
        }
    }
    text.trim_end().to_owned()
}

/// Equal under Unicode's simple folding, as far as ASCII names are concerned: `ſ` is an s, the Kelvin sign a k.
fn folds(written: &str, known: &str) -> bool {
    let fold = |c: char| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    written.chars().map(fold).eq(known.chars().map(fold))
}
