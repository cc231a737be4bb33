//! One string as a YAML scalar that every parser reads back as that string, be it YAML 1.1 or 1.2.
//!
//! The rule is a white list: a string is written plain only if it begins with a letter or a parenthesis, or is a duration,
//! and holds nothing that means something to YAML. Everything else is quoted, or a literal block if it has lines.

/// Words that some parser takes for a boolean, null or a number, in lower case.
const WORDS: [&str; 14] =
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf", "infinity", "void"];

/// How a string can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As it is.
    Plain,
    /// `|` or, without a line break at the end, `|-`.
    Literal,
    /// `"…"`
    Quoted,
}

/// The nicest style that is safe. `one_line` excludes blocks, as for keys.
pub(super) fn style(text: &str, one_line: bool) -> Style {
    if is_plain(text) {
        Style::Plain
    } else if !one_line && is_literal(text) {
        Style::Literal
    } else {
        Style::Quoted
    }
}

fn is_plain(text: &str) -> bool {
    let Some(first) = text.bytes().next() else { return false };
    if first.is_ascii_digit() {
        return is_duration(text);
    }
    let starts_well = first.is_ascii_alphabetic() || first == b'(';
    starts_well && !is_word(text) && stays_plain(text)
}

fn is_word(text: &str) -> bool {
    let Some(first) = text.as_bytes().first() else { return false };
    // Most strings are no word already by their first letter or length.
    text.len() <= 8
        && matches!(first | 0x20, b'y' | b'n' | b'o' | b't' | b'f' | b'i' | b'v')
        && WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// `5m`, `1h30m`, `5m29s999ms`: no parser takes digits before these letters for a number.
fn is_duration(text: &str) -> bool {
    let mut after_digit = false;
    let mut letters = 0;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => (after_digit, letters) = (true, 0),
            // `d`, `e`, `f` would be exponents or hexadecimal digits to somebody; of them only days are durations.
            b's' | b'm' | b'h' | b'd' | b'w' | b'y' if (after_digit || letters == 1) && letters < 2 => {
                (after_digit, letters) = (false, letters + 1);
            }
            _ => return false,
        }
    }
    letters > 0
}

/// No character that ends, comments or breaks a plain scalar in block context, and none that must be escaped.
fn stays_plain(text: &str) -> bool {
    // Names and most values have none of the characters that need a second look.
    if text.bytes().all(|byte| matches!(byte, b'!' | b'"' | b'$'..=b'9' | b';'..=b'~')) {
        return true;
    }
    let starts_comment_or_entry = text.contains(": ") || text.contains(" #");
    !starts_comment_or_entry && !text.ends_with([' ', ':']) && stays_on_line(text)
}

/// Printable, and neither a space in disguise nor a line break to YAML 1.1.
fn is_printable(character: char) -> bool {
    match character {
        ' '..='~' => true,
        '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        _ => character > '\u{a0}',
    }
}

/// Lines that a block keeps as they are: no spaces at the very beginning (they would need an indentation indicator), no
/// line of spaces only, not more than one line break at the end.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    if body.is_empty() || body.ends_with('\n') || body.starts_with([' ', '\t', '\n']) {
        return false;
    }
    let lines = body.len() < text.len() || body.contains('\n');
    lines && stays_in_block(body) && body.split('\n').all(|line| line.is_empty() || !is_blank(line))
}

fn stays_in_block(text: &str) -> bool {
    !has_special(text, true) || text.chars().all(|c| matches!(c, '\n' | '\t') || is_printable(c))
}

fn stays_on_line(text: &str) -> bool {
    !has_special(text, false) || text.chars().all(is_printable)
}

/// Whether anything is no printable ASCII character (in a block: nor line break nor tab). Rules are mostly long ASCII
/// expressions: no decoding, no branches.
fn has_special(text: &str, block: bool) -> bool {
    let special = text.bytes().fold(0, |found, byte| {
        let white = block & ((byte == b'\n') | (byte == b'\t'));
        found | u8::from((byte < b' ') & !white) | u8::from(byte >= 0x7f)
    });
    special != 0
}

fn is_blank(line: &str) -> bool {
    line.bytes().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// Appends `"…"`.
pub(super) fn quote(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if is_printable(character) => out.push(character),
            _ => {
                let code = u32::from(character);
                let written = if code <= 0xff {
                    write!(out, "\\x{code:02X}")
                } else if code <= 0xffff {
                    write!(out, "\\u{code:04X}")
                } else {
                    write!(out, "\\U{code:08X}")
                };
                debug_assert!(written.is_ok(), "a String takes everything");
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_only_when_nobody_can_misread_it() {
        for plain in [
            "shop",
            "sum(rate(x{a=\"b\"}[5m]))",
            "(page) {{$labels.x}} is, too",
            "a:b",
            "a#b",
            "slo:objective:ratio",
            "5m",
            "1h30m",
            "5m29s999ms",
            "4w",
            "gut genügt",
            "don't",
            "nope",
            "a - b",
            "x ? y",
        ] {
            assert_eq!(style(plain, false), Style::Plain, "{plain}");
        }
        for quoted in [
            "",
            " a",
            "a ",
            "a: b",
            "a:",
            "a #b",
            "yes",
            "On",
            "NULL",
            "~",
            "=",
            "<<",
            "-",
            "- a",
            "?",
            "? a",
            "1",
            "1.5",
            "0x1F",
            "1e3",
            "12:30",
            "2001-01-01",
            "1_000",
            ".5",
            ".inf",
            "+1",
            "#a",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a",
            "'a'",
            "\"a\"",
            "{a}",
            "[a]",
            "|",
            ">",
            ",a",
            "---",
            "...",
            "a\tb",
            "a\u{85}b",
            "a\u{2028}b",
            "\u{feff}a",
            "a\u{7f}",
            "5",
            "5mm5",
            "5msm",
            "5e3",
            "_1",
            "a\rb",
            "\na",
            " a\nb",
            "a\n\n",
            "a\n  \nb",
            "\n",
            "y",
            "N",
            "Übung",
        ] {
            assert_eq!(style(quoted, false), Style::Quoted, "{quoted:?}");
        }
        for literal in ["a\nb", "a\n", "a\n  b\n", "a\n\nb", "- a\n", "yes\n", "a: b\n# c", "a\n\tb"] {
            assert_eq!(style(literal, false), Style::Literal, "{literal:?}");
            assert_eq!(style(literal, true), Style::Quoted, "{literal:?}");
        }
    }
}
