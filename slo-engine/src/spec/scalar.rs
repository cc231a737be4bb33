//! What a plain scalar means in YAML 1.1, as the Go libraries that read Sloth's specs take it.
//!
//! `prometheus/v1` goes through `sigs.k8s.io/yaml`: values for text fields that YAML takes for numbers or booleans are
//! printed again, so `yes` becomes `true` and `010` becomes `8`. Facts from its source and from `go.yaml.in/yaml/v2`;
//! the tests hold what both print.

use std::borrow::Cow;

use daemon_kit::yaml::{Node, Style};

/// A scalar's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'d> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(Cow<'d, str>),
    /// A tag that contradicts the text, or base64 that is none.
    Invalid(&'static str),
}

impl Value<'_> {
    /// As a number, as Go converts it for a `float64` field.
    #[allow(clippy::cast_precision_loss, reason = "Go rounds to the nearest double, too")]
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Uint(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// As the text that `sigs.k8s.io/yaml` makes of it for a text field.
    pub(crate) fn coerced(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Uint(value) => Some(value.to_string()),
            Self::Float(value) => Some(float32(*value)),
            Self::Null | Self::Text(_) | Self::Invalid(_) => None,
        }
    }

    /// What to call it in a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Uint(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Invalid(_) => "no valid value",
        }
    }
}

/// The value of a scalar node; `None` for a collection.
pub(crate) fn value(node: Node<'_>) -> Option<Value<'_>> {
    let (text, style) = node.scalar()?;
    let tag = node.tag().map(|tag| tag.strip_prefix("tag:yaml.org,2002:").unwrap_or(tag));
    Some(match tag {
        None if style == Style::Plain => resolve(text),
        None => Value::Text(Cow::Borrowed(text)),
        Some("binary") => {
            base64(text).map_or(Value::Invalid("invalid base64"), |text| Value::Text(text.into()))
        }
        Some(tag @ ("bool" | "int" | "float" | "null" | "timestamp")) => match (tag, resolve(text)) {
            ("bool", value @ Value::Bool(_))
            | ("int", value @ (Value::Int(_) | Value::Uint(_)))
            | ("float", value @ Value::Float(_))
            | ("null", value @ Value::Null) => value,
            #[allow(clippy::cast_precision_loss, reason = "Go rounds to the nearest double, too")]
            ("float", Value::Int(value)) => Value::Float(value as f64),
            ("timestamp", Value::Text(text)) => Value::Text(text),
            _ => Value::Invalid("the value contradicts its tag"),
        },
        // Also unknown tags: they change nothing.
        Some(_) => Value::Text(Cow::Borrowed(text)),
    })
}

/// The text of a mapping key; `None` for null and collections, which Go refuses.
pub(crate) fn key(node: Node<'_>) -> Option<Cow<'_, str>> {
    match value(node)? {
        Value::Text(text) => Some(text),
        Value::Null | Value::Invalid(_) => None,
        // Rounded to a float32 first, so that 3.5e38 is infinite.
        Value::Float(value) => Some(match float32(value).as_str() {
            "NaN" => ".nan".into(),
            "+Inf" => ".inf".into(),
            "-Inf" => "-.inf".into(),
            number => number.to_owned().into(),
        }),
        value => value.coerced().map(Cow::Owned),
    }
}

fn resolve(text: &str) -> Value<'_> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.bytes().next() {
        Some(b'.') => float(text).map(Value::Float),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            let digits: Cow<'_, str> =
                if text.contains('_') { text.replace('_', "").into() } else { text.into() };
            integer(&digits).or_else(|| float(&digits).map(Value::Float))
        }
        _ => None,
    };
    number.unwrap_or(Value::Text(Cow::Borrowed(text)))
}

/// `strconv.ParseInt(text, 0, 64)`, then `ParseUint`: decimal, `0x`, `0o`, `0b`, and octal with a leading zero.
fn integer(text: &str) -> Option<Value<'static>> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = |prefix: &str| {
        digits.get(..2).filter(|start| start.eq_ignore_ascii_case(prefix)).and(digits.get(2..))
    };
    let (radix, digits) = if let Some(digits) = lower("0x") {
        (16, digits)
    } else if let Some(digits) = lower("0o") {
        (8, digits)
    } else if let Some(digits) = lower("0b") {
        (2, digits)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, &digits[1..])
    } else {
        (10, digits)
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    // ParseUint takes no sign at all, not even `+`.
    let signed = text.starts_with(['+', '-']);
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match i64::try_from(magnitude) {
        Ok(value) => Some(Value::Int(if negative { -value } else { value })),
        Err(_) if negative && magnitude == i64::MIN.unsigned_abs() => Some(Value::Int(i64::MIN)),
        Err(_) if signed => None,
        Err(_) => Some(Value::Uint(magnitude)),
    }
}

/// Decimal floats that stay finite: `1.`, `.5`, `1e3`, `-2.5E-7`.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let mantissa_ok = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    if !mantissa_ok || !exponent_ok {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// `strconv.FormatFloat(value, 'g', -1, 32)` of Go: rounded to a `float32`, shortest digits.
#[allow(clippy::cast_possible_truncation, reason = "that is what Go does")]
fn float32(value: f64) -> String {
    let value = value as f32;
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let upper = format!("{value:e}");
    let digits = upper.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let even = format!("{value:.*e}", digits.saturating_sub(1));
    let chosen = if even.parse() == Ok(value) { even } else { upper };
    let (mantissa, exponent) = chosen.split_once('e').unwrap_or((&chosen, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// Standard base64 with padding, line breaks ignored; the bytes must be text.
fn base64(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut bits, mut held, mut padding) = (0_u32, 0_u32, 0);
    for byte in text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = (bits << 6 | u32::from(digit)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    let whole = match held {
        0 => padding == 0,
        2 => padding == 1,
        4 => padding == 2,
        _ => false,
    };
    if whole { String::from_utf8(bytes).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use daemon_kit::source::Source;
    use daemon_kit::yaml::{self, Limits};

    use super::*;

    const PRINTED_BY_GO: &str = include_str!("../../testdata/scalars.tsv");

    #[test]
    fn plain_scalars_become_what_go_makes_of_them() {
        for line in PRINTED_BY_GO.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let source = Source::new("t", format!("? {}\n: {}\n", fields[0], fields[0]));
            let documents = yaml::parse(&source, Limits::default()).unwrap();
            let (name, node) = documents[0].root().unwrap().pairs().next().unwrap();
            let text = match value(node).unwrap() {
                Value::Text(text) => text.into_owned(),
                value => value.coerced().unwrap_or_default(),
            };
            assert_eq!(text, fields[1], "{line}");
            assert_eq!(key(name).unwrap(), fields[2], "{line}");
        }
    }
}
