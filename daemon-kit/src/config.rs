//! A daemon's own configuration: one YAML document, read strictly into a type.
//!
//! Rules for the types: `deny_unknown_fields` on every struct; no `flatten` and no `untagged` (both lose the place of an
//! error); a newtype with a checked constructor for whatever has a range.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

/// A value that knows its place: see [`place`].
pub use serde_saphyr::Spanned;

use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};

/// Configurations are written by people: what is larger is no configuration.
pub const MAX_BYTES: usize = 1 << 20;
/// Scalars, sequences and mappings of a configuration.
pub const MAX_NODES: usize = 20_000;

/// Opens a configuration's file.
///
/// # Errors
/// It cannot be read, is larger than [`MAX_BYTES`], or is no UTF-8.
pub fn open(path: &Path) -> Result<Source, Diagnostic> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Diagnostic::error("config-unreadable", format!("cannot read {name}: {error}")))?;
    if bytes.len() > MAX_BYTES {
        return Err(Diagnostic::error(
            "config-too-large",
            format!("{name} is larger than {} KiB", MAX_BYTES >> 10),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Diagnostic::error("config-not-utf8", format!("{name} is no UTF-8 text: see byte {at}"))
    })?;
    Ok(Source::new(name, text))
}

/// Reads a configuration. Anchors, duplicate keys, several documents and the booleans of YAML 1.1 are refused. A
/// number that is not finite passes for a plain `f64`: ranges belong to the types.
///
/// ```
/// use daemon_kit::{config, source::Source};
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Listener { port: u16 }
///
/// let good = config::load::<Listener>(&Source::new("a.yaml", "port: 80")).unwrap();
/// assert_eq!(good.port, 80);
/// let bad = config::load::<Listener>(&Source::new("a.yaml", "prot: 80")).err().unwrap();
/// assert_eq!(bad.len(), 1);
/// ```
///
/// # Errors
/// What is wrong, each with its place. The reader stops at the first thing that does not fit the type.
pub fn load<T: DeserializeOwned>(source: &Source) -> Result<T, Vec<Diagnostic>> {
    if source.text().len() > MAX_BYTES {
        let message = format!("the configuration is larger than {} KiB", MAX_BYTES >> 10);
        return Err(vec![Diagnostic::error("config-too-large", message).at(source, Span::default())]);
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_nodes: MAX_NODES,
            max_depth: 64,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        // A snippet of the library would quote secrets; our own renderer decides.
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(source.text(), options)
        .map_err(|error| vec![diagnose(source, &error)])
}

/// Where a value stands that was read from this source.
#[must_use]
pub fn place<T>(source: &Source, value: &Spanned<T>) -> Span {
    let (location, first) = (value.referenced, span(source, value.referenced));
    let length = location.span().byte_len().and_then(|length| u32::try_from(length).ok()).unwrap_or(0);
    let whole = Span { start: first.start, end: first.start.saturating_add(length) };
    // Of a collection only the beginning is known.
    if length > 0 && source.text().get(whole.range()).is_some() { whole } else { first }
}

fn diagnose(source: &Source, error: &serde_saphyr::Error) -> Diagnostic {
    let span = error.location().map_or_else(Span::default, |location| span(source, location));
    let message = if source.is_secret() {
        // The words of a deserializer may hold the value.
        "the value does not fit, or the key is unknown or missing".to_owned()
    } else {
        message(&error.to_string())
    };
    Diagnostic::error("config", message).at(source, span)
}

/// The library's message without the place, which is told apart from it.
fn message(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let without_place = first
        .find(" at line ")
        .or_else(|| first.find(" (line "))
        .map_or(first, |at| first.get(..at).unwrap_or(first));
    let without_kind = without_place.strip_prefix("error: ").unwrap_or(without_place);
    let without_place = match without_kind.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, message)) => message,
        None => without_kind,
    };
    for (breach, message) in [
        ("budget breached: Anchors", "anchors are not allowed in a configuration"),
        ("budget breached: Documents", "a configuration is one document"),
        ("budget breached", "the configuration is too large or too deeply nested"),
    ] {
        if without_place.starts_with(breach) {
            return message.to_owned();
        }
    }
    // Advice to the programmer, not to the author of the file.
    let without_advice = without_place.split_once(", set ").map_or(without_place, |(message, _)| message);
    without_advice.trim_end_matches(['.', ':', ' ']).to_owned()
}

#[allow(clippy::cast_possible_truncation, reason = "the text is at most MAX_BYTES long")]
fn span(source: &Source, location: serde_saphyr::Location) -> Span {
    let line = usize::try_from(location.line()).unwrap_or(1);
    let column = usize::try_from(location.column()).unwrap_or(1).saturating_sub(1);
    let range = source.line_range(line);
    let text = source.text().get(range.clone()).unwrap_or_default();
    let from = text.char_indices().nth(column).map_or(text.len(), |(at, _)| at);
    let rest = text.get(from..).unwrap_or_default();
    let length = rest.find([' ', ':', ',', '}', ']', '#']).filter(|length| *length > 0).unwrap_or(rest.len());
    let start = range.start + from;
    Span { start: start as u32, end: (start + length) as u32 }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::diagnostic::{Format, write};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Config {
        name: String,
        listen: Listen,
        #[serde(default)]
        ratio: f64,
        #[serde(default)]
        debug: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Listen {
        port: u16,
    }

    fn shown(text: &str) -> String {
        let diagnostics = load::<Config>(&Source::new("daemon.yaml", text)).unwrap_err();
        let mut out = Vec::new();
        for diagnostic in diagnostics {
            write(&mut out, &diagnostic, Format::Text { color: false }).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_good_configuration_is_read() {
        let config =
            load::<Config>(&Source::new("x", "name: no\nlisten: {port: 80}\nratio: .5 # half\n")).unwrap();
        assert_eq!((config.name.as_str(), config.listen.port, config.ratio), ("no", 80, 0.5));
    }

    #[test]
    fn what_does_not_fit_is_shown_at_its_place() {
        insta::assert_snapshot!("unknown_key", shown("name: a\nlisten:\n  port: 80\n  prot: 81\n"));
        insta::assert_snapshot!("wrong_type", shown("name: a\nlisten:\n  port: eighty\n"));
        insta::assert_snapshot!("out_of_range", shown("name: a\nlisten: {port: 70000}\n"));
        insta::assert_snapshot!("missing_key", shown("name: a\nlisten: {}\n"));
        insta::assert_snapshot!("duplicate_key", shown("name: a\nname: b\nlisten: {port: 80}\n"));
        insta::assert_snapshot!("old_boolean", shown("name: a\nlisten: {port: 80}\ndebug: yes\n"));
        insta::assert_snapshot!("syntax", shown("name: [a\nlisten: {port: 80}\n"));
    }

    #[test]
    fn what_costs_too_much_is_refused() {
        insta::assert_snapshot!("anchor", shown("name: &a a\nlisten: {port: 80}\n"));
        insta::assert_snapshot!("two_documents", shown("name: a\nlisten: {port: 80}\n---\nname: b\n"));
        assert!(
            shown(&format!("name: a\nlisten: {{port: 80}}\n{}", "#".repeat(MAX_BYTES)))
                .contains("larger than 1024 KiB")
        );
        assert!(!shown(&format!("name: {}", "[".repeat(10_000))).is_empty());
        assert!(!shown(&format!("name: [{}]", "a,".repeat(MAX_NODES + 1))).is_empty());
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.yaml");
        let message = || open(&path).unwrap_err().message;
        assert!(message().contains("cannot read") && message().contains("daemon.yaml"));
        let write =
            |bytes: &[u8]| std::io::Write::write_all(&mut File::create(&path).unwrap(), bytes).unwrap();
        write(b"name: \xff");
        assert!(message().ends_with("is no UTF-8 text: see byte 6"), "{}", message());
        write(&vec![b'#'; MAX_BYTES + 1]);
        assert!(message().ends_with("is larger than 1024 KiB"));
        write(b"name: a");
        let source = open(&path).unwrap();
        assert!(source.text() == "name: a" && source.name().ends_with("daemon.yaml"));
    }

    #[test]
    fn a_secret_is_not_in_the_message() {
        let source = Source::secret("token.yaml", "name: a\nlisten: {port: hunter2}\n");
        let mut out = Vec::new();
        for diagnostic in load::<Config>(&source).unwrap_err() {
            for format in [Format::Text { color: false }, Format::Json, Format::Github] {
                write(&mut out, &diagnostic, format).unwrap();
            }
        }
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains("hunter2") && out.contains("token.yaml:2:16"), "{out}");
    }
}
