//! What a cluster is started with, and the ways into it.

use std::collections::BTreeMap;
use std::time::Duration;

/// A way into a broker. Every broker has all of them, each on a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listener {
    /// No authentication: `User:ANONYMOUS`, who is a super user. The brokers talk through it too.
    Plaintext,
    /// SASL without encryption.
    SaslPlaintext,
    /// TLS; a client certificate is asked for but not needed. Without one a client is `User:ANONYMOUS`.
    Ssl,
    /// TLS that refuses a client without a certificate. The common name is the user.
    MutualSsl,
    /// SASL over TLS.
    SaslSsl,
}

impl Listener {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Plaintext, Self::SaslPlaintext, Self::Ssl, Self::MutualSsl, Self::SaslSsl];

    /// Its name in the broker's configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::Ssl => "SSL",
            Self::MutualSsl => "MUTUAL_SSL",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// `security.protocol`.
    #[must_use]
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::MutualSsl => "SSL",
            other => other.name(),
        }
    }

    /// Whether clients authenticate by SASL.
    #[must_use]
    pub const fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::MutualSsl | Self::SaslSsl)
    }
}

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mechanism {
    /// PLAIN: only for users of [`Options::users`], the broker reads them at its start.
    Plain,
    /// SCRAM-SHA-256.
    #[default]
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// `sasl.mechanism`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Super user beside `ANONYMOUS`.
pub const ADMIN: &str = "admin";
/// May describe the cluster, and describe and alter quotas and configurations; nothing with topics, groups and transactions.
pub const ENFORCER: &str = "enforcer";
/// May log in, and nothing else.
pub const NOBODY: &str = "nobody";
/// Tenants: each owns topics, groups and transactional ids whose names start with its own and a dot (`alice.orders`), and
/// may read and write topics that start with `shared.`.
pub const TENANTS: [&str; 5] = ["alice", "bob", "carol", "dave", "mallory"];

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many combined broker and controller nodes; their ids are 1, 2, ….
    pub brokers: u16,
    /// Heap of each in MiB.
    pub heap_mib: u16,
    /// `quota.window.num`: windows of a quota's rate, the current one included.
    pub quota_windows: u16,
    /// `quota.window.size.seconds`: length of one of them; whole seconds.
    pub quota_window: Duration,
    /// Users beside [`ADMIN`], [`ENFORCER`], [`NOBODY`] and [`TENANTS`]; they may do what tenants may.
    pub users: Vec<String>,
    /// Further lines of `server.properties`; they win over the test bed's.
    pub properties: BTreeMap<String, String>,
}

impl Default for Options {
    /// Three brokers, Kafka's own quota window of 11 times one second.
    fn default() -> Self {
        Self {
            brokers: 3,
            heap_mib: 320,
            quota_windows: 11,
            quota_window: Duration::from_secs(1),
            users: Vec::new(),
            properties: BTreeMap::new(),
        }
    }
}

impl Options {
    /// Every tenant: [`TENANTS`] and [`Options::users`].
    pub(crate) fn tenants(&self) -> impl Iterator<Item = &str> {
        TENANTS.into_iter().chain(self.users.iter().map(String::as_str))
    }

    /// Every user.
    pub(crate) fn all_users(&self) -> impl Iterator<Item = &str> {
        [ADMIN, ENFORCER, NOBODY].into_iter().chain(self.tenants())
    }
}

/// The password of a user of the test bed.
#[must_use]
pub fn password(user: &str) -> String {
    format!("{user}-secret")
}
