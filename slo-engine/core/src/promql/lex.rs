//! PromQL tokens with their places, which the parser's errors lack.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name, a keyword or a function; may hold colons.
    Ident,
    /// A number or a duration: `1e3`, `0x1F`, `5m`.
    Number,
    /// A string with its quotes; `closed` is false when the text ends in it.
    Str {
        /// The closing quote is there.
        closed: bool,
    },
    /// An operator or punctuation.
    Op,
    /// A character that PromQL has no use for.
    Stray,
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub range: Range<usize>,
}

impl Token {
    /// The token as written.
    #[must_use]
    pub fn text<'a>(&self, query: &'a str) -> &'a str {
        query.get(self.range.clone()).unwrap_or_default()
    }
}

/// Splits a query into tokens, without white space and comments. Never fails: what makes no sense is [`Kind::Stray`].
#[must_use]
pub fn tokens(query: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(query.len() / 3);
    let mut at = 0;
    let mut brackets = false;
    while let Some(rest) = query.get(at..)
        && let Some(c) = rest.chars().next()
    {
        let (kind, length) = match c {
            ' ' | '\t' | '\n' | '\r' => (None, 1),
            '#' => (None, rest.find('\n').unwrap_or(rest.len())),
            '"' | '\'' | '`' => {
                let (length, closed) = string(rest, c);
                (Some(Kind::Str { closed }), length)
            }
            '0'..='9' => (Some(Kind::Number), number(rest)),
            '.' if rest.get(1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) => {
                (Some(Kind::Number), number(rest))
            }
            'a'..='z' | 'A'..='Z' | '_' => (Some(Kind::Ident), ident(rest, !brackets)),
            ':' if !brackets => (Some(Kind::Ident), ident(rest, true)),
            '=' | '!' | '>' | '<' => (Some(Kind::Op), comparison(rest)),
            '(' | ')' | '{' | '}' | '[' | ']' | ',' | '+' | '-' | '*' | '/' | '%' | '^' | '@' | ':' => {
                brackets = c == '[' || (brackets && c != ']');
                (Some(Kind::Op), 1)
            }
            other => (Some(Kind::Stray), other.len_utf8()),
        };
        if let Some(kind) = kind {
            tokens.push(Token { kind, range: at..at + length });
        }
        at += length;
    }
    tokens
}

fn string(rest: &str, quote: char) -> (usize, bool) {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            // Only a raw string goes on over the end of the line.
            '\n' if quote != '`' => return (at, false),
            c if c == quote => return (at + 1, true),
            _ => {}
        }
    }
    (rest.len(), false)
}

fn number(rest: &str) -> usize {
    let hex = rest.starts_with("0x") || rest.starts_with("0X");
    let mut before = '0';
    rest.find(|c: char| {
        let sign = (c == '+' || c == '-') && matches!(before, 'e' | 'E') && !hex;
        before = c;
        !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || sign)
    })
    .unwrap_or(rest.len())
}

fn ident(rest: &str, colons: bool) -> usize {
    rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':')))
        .unwrap_or(rest.len())
}

fn comparison(rest: &str) -> usize {
    if ["==", "=~", "!=", "!~", ">=", "<="].iter().any(|op| rest.starts_with(op)) { 2 } else { 1 }
}

/// The text that a string token stands for; `None` when an escape is wrong.
#[must_use]
pub fn unquote(token: &str) -> Option<String> {
    let quote = token.chars().next()?;
    let inner = token.get(1..)?.strip_suffix(quote)?;
    if quote == '`' {
        return Some(inner.replace('\r', ""));
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let escape = rest.next()?;
        let code = match escape {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            '\\' => 0x5c,
            c if c == quote => u32::from(c),
            'x' => digits(&mut rest, 2, 16)?,
            'u' => digits(&mut rest, 4, 16)?,
            'U' => digits(&mut rest, 8, 16)?,
            '0'..='7' => escape.to_digit(8)? * 64 + digits(&mut rest, 2, 8)?,
            _ => return None,
        };
        out.push(char::from_u32(code)?);
    }
    Some(out)
}

fn digits(rest: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    (0..count).try_fold(0, |value: u32, _| Some(value.checked_mul(radix)? + rest.next()?.to_digit(radix)?))
}
