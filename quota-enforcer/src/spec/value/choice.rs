//! One of some words.

use quota_enforcer_core::entity::Kind;
use quota_enforcer_core::policy::Mode;
use quota_enforcer_core::quota::Key;

use super::Value;
use crate::spec::profile::Names;

fn one_of<T, const N: usize>(text: &str, words: [(&str, T); N]) -> Option<T> {
    words.into_iter().find(|(word, _)| *word == text).map(|(_, value)| value)
}

impl Value for Mode {
    const WHAT: &'static str = "mode";
    const HELP: &'static str = "write observe, flag or enforce";

    fn parse(text: &str) -> Option<Self> {
        one_of(text, [("observe", Self::Observe), ("flag", Self::Flag), ("enforce", Self::Enforce)])
    }
}

impl Value for Kind {
    const WHAT: &'static str = "kind of entity";
    const HELP: &'static str = "write user, client-id or user+client-id";

    fn parse(text: &str) -> Option<Self> {
        one_of(text, [("user", Self::User), ("client-id", Self::ClientId), ("user+client-id", Self::Pair)])
    }
}

impl Value for Key {
    const WHAT: &'static str = "measure";
    const HELP: &'static str = "write produce, consume or request-time";

    fn parse(text: &str) -> Option<Self> {
        let words = [
            ("produce", Self::ProducerByteRate),
            ("consume", Self::ConsumerByteRate),
            ("request-time", Self::RequestPercentage),
        ];
        one_of(text, words)
    }
}

/// What happens to quotas of ours when the process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shutdown {
    /// They stay, and the next process takes them up.
    #[default]
    Hold,
    /// They are taken away first.
    Release,
}

impl Value for Shutdown {
    const WHAT: &'static str = "way to end";
    const HELP: &'static str = "write hold or release";

    fn parse(text: &str) -> Option<Self> {
        one_of(text, [("hold", Self::Hold), ("release", Self::Release)])
    }
}

impl Value for Names {
    const WHAT: &'static str = "way of writing names";
    const HELP: &'static str = "write jmx (as brokers register them: URL-encoded, quoted) or plain";

    fn parse(text: &str) -> Option<Self> {
        one_of(text, [("jmx", Self::Jmx), ("plain", Self::Plain)])
    }
}
