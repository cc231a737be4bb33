//! Whether Prometheus takes a regular expression.
//!
//! Prometheus uses Go's RE2 syntax. It is close to that of Rust's `regex` crate, which the parser uses, but each takes some
//! that the other does not (`[\w-.]`, `\Q…\E` and `{{x}}` are Go's alone, `a**` and `[a&&b]` are Rust's), so we look ourselves.
//!
//! Source of the rules: the syntax page of Go's `regexp/syntax`. Unicode class names are not checked.

/// What is wrong with a regular expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RegexError {
    /// `(` without `)`.
    #[error("a parenthesis is not closed")]
    Unclosed,
    /// `)` without `(`.
    #[error("a parenthesis is closed that was not opened")]
    Unopened,
    /// `[` without `]`.
    #[error("a character class is not closed")]
    Class,
    /// `[z-a]`.
    #[error("a range in a character class ends before it starts")]
    Range,
    /// `*` with nothing before it.
    #[error("a repetition has nothing to repeat")]
    NothingToRepeat,
    /// `a**`.
    #[error("a repetition is repeated")]
    Nested,
    /// `a{1001}` or `a{3,2}`.
    #[error("a repetition count is above 1000 or the wrong way round")]
    Count,
    /// `(?=`, `(?<!`, `(?x`.
    #[error("look-around and unknown flags are not supported by Prometheus")]
    Perl,
    /// `\` at the end, or before a letter without a meaning.
    #[error("an escape means nothing to Prometheus")]
    Escape,
}

/// Checks one.
///
/// # Errors
/// The first thing that Go would not take.
pub(super) fn check(regex: &str) -> Result<(), RegexError> {
    let mut rest = regex;
    let mut depth = 0_usize;
    // What stands before: nothing to repeat, something, or something repeated already.
    let mut operand = Operand::None;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '(' => {
                depth += 1;
                rest = group(tail, &mut depth)?;
                operand = Operand::None;
                continue;
            }
            ')' => {
                depth = depth.checked_sub(1).ok_or(RegexError::Unopened)?;
                operand = Operand::Plain;
            }
            '|' => operand = Operand::None,
            '*' | '+' | '?' => {
                operand = operand.repeat()?;
                rest = tail.strip_prefix('?').unwrap_or(tail);
                continue;
            }
            '{' => {
                if let Some(after) = count(tail)? {
                    operand = operand.repeat()?;
                    rest = after.strip_prefix('?').unwrap_or(after);
                    continue;
                }
                operand = Operand::Plain;
            }
            '[' => {
                rest = class(tail)?;
                operand = Operand::Plain;
                continue;
            }
            '\\' => {
                rest = match tail.strip_prefix('Q') {
                    // An empty quotation is nothing.
                    Some(quoted) => quoted.split_once("\\E").map_or("", |(_, after)| after),
                    None => escape(tail)?.1,
                };
                operand = Operand::Plain;
                continue;
            }
            _ => operand = Operand::Plain,
        }
        rest = tail;
    }
    if depth == 0 { Ok(()) } else { Err(RegexError::Unclosed) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    None,
    Plain,
    Repeated,
}

impl Operand {
    fn repeat(self) -> Result<Self, RegexError> {
        match self {
            Self::None => Err(RegexError::NothingToRepeat),
            Self::Plain => Ok(Self::Repeated),
            Self::Repeated => Err(RegexError::Nested),
        }
    }
}

/// After `(`: a plain group, `?:`, flags, or a name.
fn group<'a>(rest: &'a str, depth: &mut usize) -> Result<&'a str, RegexError> {
    let Some(special) = rest.strip_prefix('?') else { return Ok(rest) };
    if let Some(name) = special.strip_prefix("P<").or_else(|| special.strip_prefix('<')) {
        let (name, after) = name.split_once('>').ok_or(RegexError::Perl)?;
        let valid = !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
        return if valid { Ok(after) } else { Err(RegexError::Perl) };
    }
    let flags = special.find([':', ')']).ok_or(RegexError::Perl)?;
    let (flags, after) = special.split_at(flags);
    let (on, off) = flags.split_once('-').unwrap_or((flags, "i"));
    let known = |flags: &str| flags.chars().all(|c| "imsU".contains(c));
    if !known(on) || !known(off) || off.is_empty() || (flags.is_empty() && after.starts_with(')')) {
        return Err(RegexError::Perl);
    }
    if let Some(after) = after.strip_prefix(')') {
        *depth -= 1;
        return Ok(after);
    }
    Ok(after.strip_prefix(':').unwrap_or(after))
}

/// After `{`: what follows a repetition count, or `None` when the brace is a plain character.
fn count(rest: &str) -> Result<Option<&str>, RegexError> {
    let Some((inner, after)) = rest.split_once('}') else { return Ok(None) };
    let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = |text: &str| text.len() > 1 && text.starts_with('0');
    if !number(low) || !(high.is_empty() || number(high)) || leading_zero(low) || leading_zero(high) {
        return Ok(None);
    }
    let low: u32 = low.parse().map_err(|_| RegexError::Count)?;
    let high: Option<u32> =
        if high.is_empty() { None } else { Some(high.parse().map_err(|_| RegexError::Count)?) };
    if low > 1000 || high.is_some_and(|high| high > 1000 || high < low) {
        return Err(RegexError::Count);
    }
    Ok(Some(after))
}

/// After `[`: what follows the class.
fn class(rest: &str) -> Result<&str, RegexError> {
    let mut rest = rest.strip_prefix('^').unwrap_or(rest);
    let mut first = true;
    loop {
        if let Some(after) = rest.strip_prefix(']').filter(|_| !first) {
            return Ok(after);
        }
        // A dash that is neither first nor last stands for nothing but a range; Go takes it after a class such as `\w`.
        if let Some(after) = rest.strip_prefix("-").filter(|after| !first && !after.starts_with(']')) {
            let ranged = after.strip_prefix('-').is_some_and(|after| after.starts_with(']'));
            if after.starts_with('-') && !ranged {
                return Err(RegexError::Range);
            }
        }
        first = false;
        if let Some(named) = rest.strip_prefix("[:")
            && let Some((name, after)) = named.split_once(":]")
        {
            let name = name.strip_prefix('^').unwrap_or(name);
            let known = [
                "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
                "space", "upper", "word", "xdigit",
            ];
            if !known.contains(&name) {
                return Err(RegexError::Range);
            }
            rest = after;
            continue;
        }
        let (low, after) = class_character(rest)?;
        rest = after;
        let Some(low) = low else { continue };
        if let Some(ranged) = rest.strip_prefix('-').filter(|ranged| !ranged.starts_with(']')) {
            let (high, after) = class_character(ranged)?;
            match high {
                Some(high) if high >= low => rest = after,
                _ => return Err(RegexError::Range),
            }
        }
    }
}

/// One character of a class, `None` for a class inside the class (`\w`).
fn class_character(rest: &str) -> Result<(Option<char>, &str), RegexError> {
    let c = rest.chars().next().ok_or(RegexError::Class)?;
    let after = rest.get(c.len_utf8()..).unwrap_or_default();
    if c != '\\' {
        return Ok((Some(c), after));
    }
    let (c, after) = escape(after)?;
    Ok((c, after))
}

/// After `\`: the character it stands for (`None` for a class or an assertion), and what follows.
fn escape(rest: &str) -> Result<(Option<char>, &str), RegexError> {
    let c = rest.chars().next().ok_or(RegexError::Escape)?;
    let after = rest.get(c.len_utf8()..).unwrap_or_default();
    match c {
        'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'b' | 'B' | 'A' | 'z' => Ok((None, after)),
        'a' => Ok((Some('\u{7}'), after)),
        'f' => Ok((Some('\u{c}'), after)),
        't' => Ok((Some('\t'), after)),
        'n' => Ok((Some('\n'), after)),
        'r' => Ok((Some('\r'), after)),
        'v' => Ok((Some('\u{b}'), after)),
        'p' | 'P' => match after.strip_prefix('{') {
            Some(name) => name.split_once('}').map(|(_, after)| (None, after)).ok_or(RegexError::Range),
            None => after
                .chars()
                .next()
                .map(|c| (None, after.get(c.len_utf8()..).unwrap_or_default()))
                .ok_or(RegexError::Range),
        },
        'x' => match after.strip_prefix('{') {
            Some(code) => {
                let (code, after) = code.split_once('}').ok_or(RegexError::Escape)?;
                hexadecimal(code).map(|c| (Some(c), after)).ok_or(RegexError::Escape)
            }
            None => {
                let (code, after) = after.split_at_checked(2).ok_or(RegexError::Escape)?;
                hexadecimal(code).map(|c| (Some(c), after)).ok_or(RegexError::Escape)
            }
        },
        '0'..='7' => {
            let digits = rest.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            // A single digit other than zero would be a back reference.
            if c != '0' && digits == 1 {
                return Err(RegexError::Escape);
            }
            let (code, after) = rest.split_at(digits);
            Ok((u32::from_str_radix(code, 8).ok().and_then(char::from_u32), after))
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok((Some(c), after)),
        _ => Err(RegexError::Escape),
    }
}

fn hexadecimal(code: &str) -> Option<char> {
    if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    char::from_u32(u32::from_str_radix(code, 16).ok()?)
}
