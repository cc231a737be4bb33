//! Names, patterns and addresses.

use quota_enforcer_core::policy::Pattern;

use super::Value;

impl Value for Pattern {
    const WHAT: &'static str = "pattern";
    const HELP: &'static str = "write a name, with `*` for any characters and `?` for one";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= 1024).then(|| Self(text.to_owned()))
    }
}

/// The name of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic(pub(crate) String);

impl Value for Topic {
    const WHAT: &'static str = "topic name";
    const HELP: &'static str = "write up to 249 letters, digits, dots, underscores or dashes";

    fn parse(text: &str) -> Option<Self> {
        let legal = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let named = legal && !matches!(text, "" | "." | "..") && text.len() <= 249;
        named.then(|| Self(text.to_owned()))
    }
}

/// The name of a rule: it becomes a label value and a part of record keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleName(pub(crate) String);

impl Value for RuleName {
    const WHAT: &'static str = "rule name";
    const HELP: &'static str = "write up to 64 letters, digits, dots, underscores or dashes";

    fn parse(text: &str) -> Option<Self> {
        let legal = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        (legal && (1..=64).contains(&text.len())).then(|| Self(text.to_owned()))
    }
}

/// The name of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelName(pub(crate) String);

impl Value for LabelName {
    const WHAT: &'static str = "label name";
    const HELP: &'static str = "write letters, digits and underscores, not starting with a digit";

    fn parse(text: &str) -> Option<Self> {
        let legal = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let first = text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        (legal && first && text.len() <= 256).then(|| Self(text.to_owned()))
    }
}

/// Any text that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) String);

impl Value for Line {
    const WHAT: &'static str = "text";
    const HELP: &'static str = "write something, on one line";

    fn parse(text: &str) -> Option<Self> {
        (!text.trim().is_empty() && !text.contains(char::is_control)).then(|| Self(text.to_owned()))
    }
}

/// An address of the web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url(pub(crate) String);

impl Value for Url {
    const WHAT: &'static str = "address";
    const HELP: &'static str = "write http://… or https://…";

    fn parse(text: &str) -> Option<Self> {
        // The parser forgives slashes, blanks and line breaks.
        let written = text.starts_with("http://") || text.starts_with("https://");
        let blank = text.contains(|c: char| c.is_whitespace() || c.is_control());
        let url = reqwest::Url::parse(text).ok().filter(|_| written && !blank)?;
        let host = text.split('/').nth(2).is_some_and(|host| !host.is_empty() && !host.starts_with(':'));
        (host && url.has_host()).then(|| Self(text.to_owned()))
    }
}

impl Value for std::net::SocketAddr {
    const WHAT: &'static str = "address to listen on";
    const HELP: &'static str = "write ADDRESS:PORT, such as `127.0.0.1:9620`";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
