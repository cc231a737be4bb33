//! Tables in documents, between markers, so that a command can write them again.

use std::path::Path;

use anyhow::{Context, Result};

use crate::files;

/// A markdown table.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

/// Replaces what stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; adds both at the end of a document
/// that lacks them.
///
/// # Errors
/// When the document cannot be read or written.
pub fn replace(document: &Path, name: &str, body: &str) -> Result<()> {
    let text = std::fs::read_to_string(document).with_context(|| format!("read {}", document.display()))?;
    files::write(document, &replaced(&text, name, body))
}

fn replaced(text: &str, name: &str, body: &str) -> String {
    let (open, close) = (format!("<!-- generated: {name} -->"), format!("<!-- end: {name} -->"));
    let block = format!("{open}\n{}\n{close}", body.trim_end());
    let parts =
        text.split_once(&open).and_then(|(head, rest)| rest.split_once(&close).map(|(_, tail)| (head, tail)));
    match parts {
        Some((head, tail)) => format!("{head}{block}{tail}"),
        None => format!("{}\n\n{block}\n", text.trim_end()),
    }
}

/// `met` or `missed`.
#[must_use]
pub const fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_added_once_and_then_replaced() {
        let once = replaced("# Title\n", "a", "one");
        assert_eq!(once, "# Title\n\n<!-- generated: a -->\none\n<!-- end: a -->\n");
        assert_eq!(replaced(&once, "a", "two"), once.replace("one", "two"));
    }
}
