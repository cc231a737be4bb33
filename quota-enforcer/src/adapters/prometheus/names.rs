//! Names as brokers write them into their sensors' tags, read back.
//!
//! Users are URL-encoded by Kafka's `Sanitizer` (UTF-8, space as `%20`, `*` as `%2A`). Client ids are put into the quotes of
//! JMX (`ObjectName.quote`) when they hold anything but letters, digits, `_`, `-`, `%`, `.`, space and tab. Exporters hand
//! both on, or undo the quotes; what cannot be the broker's writing is taken as it is.

use quota_enforcer_core::entity::Client;

use crate::spec::profile::{Names, Profile};

/// The client that a series' labels tell of; a label that is absent or empty tells nothing.
pub(super) fn client<'a>(profile: &Profile, label: impl Fn(&str) -> Option<&'a String>) -> Client {
    let given = |name: &str| label(name).map(String::as_str).filter(|value| !value.is_empty());
    Client {
        user: given(&profile.user_label).map(|text| user(profile.names, text)),
        client_id: given(&profile.client_id_label).map(|text| client_id(profile.names, text)),
    }
}

pub(super) fn user(names: Names, text: &str) -> String {
    let encoded = |byte: u8| byte.is_ascii_alphanumeric() || b"%._-".contains(&byte);
    match names {
        Names::Jmx if text.bytes().all(encoded) => percent_decoded(text).unwrap_or_else(|| text.to_owned()),
        _ => text.to_owned(),
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn client_id(names: Names, text: &str) -> String {
    match names {
        Names::Jmx => unquoted(text).unwrap_or_else(|| text.to_owned()),
        Names::Plain => text.to_owned(),
    }
}

/// `ObjectName.unquote`.
fn unquoted(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                escaped @ ('\\' | '"' | '*' | '?') => escaped,
                _ => return None,
            },
            // Unescaped, they cannot be the broker's writing.
            '"' | '*' | '?' | '\n' => return None,
            c => c,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `URLEncoder.encode(name, UTF_8)` with `*` as `%2A` and `+` as `%20`: Kafka's `Sanitizer.sanitize`.
    fn sanitized(name: &str) -> String {
        name.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect()
    }

    /// `ObjectName.quote` where the name does not match `[\w-%\. \t]*`: Kafka's `Sanitizer.jmxSanitize`.
    fn jmx_sanitized(name: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-%. \t".contains(c);
        if name.chars().all(plain) {
            return name.to_owned();
        }
        let escaped = |c: char| match c {
            '"' | '\\' | '*' | '?' => format!("\\{c}"),
            '\n' => "\\n".to_owned(),
            c => c.to_string(),
        };
        format!("\"{}\"", name.chars().map(escaped).collect::<String>())
    }

    #[test]
    fn names_of_the_wild_are_read() {
        for (text, name) in [
            ("alice", "alice"),
            ("CN%3Dalice%2COU%3Da%20b", "CN=alice,OU=a b"),
            ("%2A", "*"),
            ("%E2%82%AC", "€"),
            // Not the broker's writing: decoded already, cut off, or no UTF-8.
            ("CN=alice", "CN=alice"),
            ("50%", "50%"),
            ("%zz", "%zz"),
            ("%FF", "%FF"),
        ] {
            assert_eq!(user(Names::Jmx, text), name);
            assert_eq!(user(Names::Plain, text), text);
        }
        for (text, name) in [
            ("app-1", "app-1"),
            (r#""a:b""#, "a:b"),
            (r#""\"q\" \\ \* \?\n""#, "\"q\" \\ * ?\n"),
            ("a:b", "a:b"),
            (r#"""#, r#"""#),
            (r#""a"b""#, r#""a"b""#),
            (r#""a\""#, r#""a\""#),
        ] {
            assert_eq!(client_id(Names::Jmx, text), name);
            assert_eq!(client_id(Names::Plain, text), text);
        }
    }

    proptest! {
        #[test]
        fn what_a_broker_writes_is_read_back(name in any::<String>()) {
            prop_assert_eq!(user(Names::Jmx, &sanitized(&name)), name.clone());
            prop_assert_eq!(client_id(Names::Jmx, &jmx_sanitized(&name)), name);
        }

        #[test]
        fn no_text_panics(text in "[\"\\\\%*?0-9a-fA-Fnx]{0,12}") {
            let _ = (user(Names::Jmx, &text), client_id(Names::Jmx, &text));
        }
    }
}
