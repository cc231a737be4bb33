//! The configuration file: one strict YAML document, checked as a whole.
//!
//! [`load`] tells every error of meaning at once, each with its place; an unknown key or a mapping where a value belongs
//! stops the reader at the first. It looks at nothing but the file; [`load_here`] also tells what this machine lacks of what
//! the file names. The JSON Schema of the file is [`SCHEMA`].

mod check;
mod file;
mod here;
mod kafka;
pub mod profile;
mod protected;
mod rules;
mod sections;
mod selector;
mod value;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daemon_kit::config;
use daemon_kit::diagnostic::{Diagnostic, Level};
use daemon_kit::prom::{Auth, Options, Secret};
use daemon_kit::source::Source;
use quota_enforcer_core::audit::digest;
use quota_enforcer_core::policy::Policy;

pub use kafka::Kafka;
use profile::Profile;
pub use protected::hard as hard_protected;
pub use value::Shutdown;

/// What this program calls itself to brokers unless the file says otherwise. librdkafka's own `rdkafka` would be the name of
/// many tenants too, and whatever is called like this program is protected.
pub const CLIENT_ID: &str = "quota-enforcer";

/// The JSON Schema (draft 7) of the file, for editors.
pub const SCHEMA: &str = include_str!("spec/schema.json");

/// Everything that the file says, with defaults for what it does not.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What may be done to whom.
    pub policy: Policy,
    /// How to reach the brokers.
    pub kafka: Kafka,
    /// How to reach Prometheus.
    pub prometheus: Prometheus,
    /// What the metrics are called.
    pub profile: Profile,
    /// How baselines are made.
    pub baseline: Baseline,
    /// Where facts and the audit chain are kept.
    pub ledger: Ledger,
    /// The admin listener.
    pub admin: Admin,
    /// How often it looks and decides.
    pub tick: Duration,
    /// What happens to quotas of ours at the end.
    pub shutdown: Shutdown,
}

/// How to reach Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prometheus {
    /// Base address.
    pub url: String,
    /// A file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// User and password file of basic authentication.
    pub basic: Option<(String, PathBuf)>,
    /// Tenant of a multi-tenant server.
    pub tenant: Option<String>,
    /// Certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long one reading may take in all.
    pub timeout: Duration,
}

impl Prometheus {
    /// For a client; reads the files with the credentials.
    ///
    /// # Errors
    /// When a file cannot be read or is empty.
    pub fn options(&self) -> Result<Options, daemon_kit::prom::Error> {
        let mut options = Options::new(self.url.as_str());
        options.auth = match (&self.token_file, &self.basic) {
            (Some(path), _) => Auth::Bearer(Secret::from_file("token", path)?),
            (None, Some((user, path))) => {
                Auth::Basic { user: user.clone(), password: Secret::from_file("password", path)? }
            }
            (None, None) => Auth::None,
        };
        options.tenant.clone_from(&self.tenant);
        options.ca_file.clone_from(&self.ca_file);
        options.timeout = self.timeout;
        options.connect_timeout = options.connect_timeout.min(self.timeout);
        // The next tick asks again anyway.
        options.retries.attempts = options.retries.attempts.min(1);
        Ok(options)
    }
}

/// How a client's baseline is made: the median over weeks of its rate at even steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// How far it looks back.
    pub window: Duration,
    /// How far the points lie apart.
    pub step: Duration,
    /// A client that was seen for less has no baseline.
    pub history: Duration,
    /// How often it is made anew; after three times that without success there is none.
    pub refresh: Duration,
    /// How long its query may take.
    pub timeout: Duration,
}

/// Where facts and the audit chain are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// The compacted topic.
    pub topic: String,
    /// The topic with the audit chain.
    pub audit_topic: String,
    /// Replication factor of both, when they are created.
    pub replication: u32,
    /// `min.insync.replicas` of both, when they are created.
    pub min_insync_replicas: u32,
    /// Retention of the audit topic, when it is created.
    pub audit_retention: Duration,
    /// How long a leader may act after the start of its last committed transaction.
    pub lease: Duration,
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// A file with the token that mutating calls need; without one they are refused.
    pub token_file: Option<PathBuf>,
    /// Base address under which others reach it; made of `listen` and the host's name unless given.
    pub advertise: Option<String>,
}

/// Reads a file: settings and warnings.
///
/// # Errors
/// Everything that is wrong, with warnings among it, in order of place.
pub fn load(source: &Source) -> Result<(Settings, Vec<Diagnostic>), Vec<Diagnostic>> {
    read(source, None)
}

/// Variables of the environment, by name.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads a file as [`load`] does, with a warning for each file that it names and that cannot be read, and for each variable
/// that `env` does not have. What is there is read, and its content checked.
///
/// # Errors
/// As for [`load`], and what is wrong with the content of the files for Kafka.
pub fn load_here(
    source: &Source,
    env: Environment<'_>,
) -> Result<(Settings, Vec<Diagnostic>), Vec<Diagnostic>> {
    read(source, Some(env))
}

fn read(
    source: &Source,
    env: Option<Environment<'_>>,
) -> Result<(Settings, Vec<Diagnostic>), Vec<Diagnostic>> {
    let file: file::File = config::load(source)?;
    let mut check = check::Check::new(source);
    let settings = settings(&mut check, &file);
    if let Some(env) = env {
        here::look(&mut check, &file, env);
    }
    let diagnostics = check.finish();
    match settings {
        Some(settings) if diagnostics.iter().all(|diagnostic| diagnostic.level != Level::Error) => {
            Ok((settings, diagnostics))
        }
        _ => Err(diagnostics),
    }
}

fn settings(check: &mut check::Check<'_>, file: &file::File) -> Option<Settings> {
    let kafka = kafka::kafka(check, &file.kafka);
    let prometheus = sections::prometheus(check, &file.prometheus);
    let profile = sections::profile(check, &file.metrics);
    let evidence = sections::evidence(check, &file.evidence);
    let baseline = sections::baseline(check, &file.baseline);
    let ledger = sections::ledger(check, &file.ledger);
    let admin = sections::admin(check, &file.admin);
    let tick = sections::tick(check, &file.tick);
    let mute = sections::mute(check, &file.mute_bound);
    let shutdown = check.or(&file.shutdown, Shutdown::Hold);
    let caps = sections::caps(check, &file.caps);
    let protected = sections::protected(check, &file.protected);
    let rules = rules::rules(check, file.rules.as_deref(), &protected, &profile, mute);
    protected::advise(check, file);
    let version = digest(check.source.text().as_bytes()).chars().take(12).collect();
    let policy =
        Policy { version, rules, protected, caps, evidence, mute, sentinel_from: rules::SENTINEL_FROM };
    Some(Settings {
        policy,
        kafka,
        prometheus: prometheus?,
        profile,
        baseline,
        ledger,
        admin,
        tick,
        shutdown,
    })
}

/// A path as written: relative ones are relative to the folder that the process runs in.
fn path(text: &value::Line) -> PathBuf {
    Path::new(&text.0).to_owned()
}
