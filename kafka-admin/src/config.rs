//! One configuration, in librdkafka's property names, for this client and for librdkafka.
//!
//! Properties that this client does not know go to librdkafka as they are. Those that it knows it cannot honour are errors, since
//! half a configuration in force is worse than none. Two properties are our own and never reach librdkafka:
//!
//! | property | meaning |
//! |---|---|
//! | `sasl.password.file` | file with the password; one line end at its end is not part of it |
//! | `admin.timeout.ms` | how long a call may take in all, with connecting and trying again (30000) |

mod property;
mod refused;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use property::Properties;
use property::in_file;
pub use property::is_secret;

use crate::error::Endpoint;
use crate::retry::Backoff;
use crate::secret::Secret;
use crate::tls;

const PASSWORD_FILE: &str = "sasl.password.file";
const ADMIN_TIMEOUT: &str = "admin.timeout.ms";
const VERIFICATION: &str = "enable.ssl.certificate.verification";
const DEFAULT_PORT: u16 = 9092;

/// A property that cannot be used. Its value is never shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{property}: {reason}")]
pub struct ConfigError {
    /// Name of the property.
    pub property: String,
    /// What is wrong, and what to use.
    pub reason: String,
}

impl ConfigError {
    pub(crate) fn new(property: &str, reason: impl Into<String>) -> Self {
        Self { property: property.to_owned(), reason: reason.into() }
    }
}

/// How a client reaches a cluster. Checked as a whole: the files that it names have been read.
#[derive(Clone)]
pub struct Config {
    properties: BTreeMap<String, String>,
    pub(crate) bootstrap: Vec<Endpoint>,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) sasl: Option<Sasl>,
    pub(crate) client_id: String,
    pub(crate) request_timeout: Duration,
    pub(crate) setup_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) backoff: Backoff,
}

/// What is done with files that properties name.
#[derive(Clone, Copy)]
enum Files {
    Read,
    Leave,
}

/// Who we are, by SASL.
#[derive(Clone)]
pub(crate) struct Sasl {
    pub(crate) mechanism: Mechanism,
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// The SASL mechanisms of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Config {
    /// Reads properties and the files that they name. No connection is made.
    ///
    /// # Errors
    /// The first property that cannot be used.
    pub fn new<K: Into<String>, V: Into<String>>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError> {
        Self::read(Properties::new(properties)?, Files::Read)
    }

    /// Checks names and values as [`Config::new`] does, without the files that they name and without the system's
    /// certificate authorities: for a machine that need not have them.
    ///
    /// # Errors
    /// The first property that cannot be used whatever the files hold.
    pub fn check<K: Into<String>, V: Into<String>>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), ConfigError> {
        Self::read(Properties::new(properties)?, Files::Leave).map(drop)
    }

    fn read(mut given: Properties, files: Files) -> Result<Self, ConfigError> {
        let password_file = given.take(PASSWORD_FILE);
        let admin_timeout = given.take(ADMIN_TIMEOUT);
        refused::check(&given)?;

        let bootstrap = given
            .get("bootstrap.servers")
            .filter(|servers| !servers.trim().is_empty())
            .ok_or_else(|| ConfigError::new("bootstrap.servers", "is needed: host:port, comma separated"))?
            .split(',')
            .map(endpoint)
            .collect::<Result<_, _>>()?;
        let protocol = given.get("security.protocol").unwrap_or("plaintext").to_ascii_lowercase();
        let (encrypted, authenticated) = match protocol.as_str() {
            "plaintext" => (false, false),
            "ssl" => (true, false),
            "sasl_plaintext" => (false, true),
            "sasl_ssl" => (true, true),
            _ => {
                let reason = "is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL";
                return Err(ConfigError::new("security.protocol", reason));
            }
        };
        if let Some(path) = password_file {
            if given.get("sasl.password").is_some() {
                return Err(ConfigError::new(PASSWORD_FILE, "stands beside sasl.password: use one of them"));
            }
            let text = match files {
                Files::Read => in_file(PASSWORD_FILE, Path::new(&path))?,
                Files::Leave => "left".to_owned(),
            };
            let line = text.strip_suffix('\n').unwrap_or(&text);
            given.set("sasl.password", line.strip_suffix('\r').unwrap_or(line));
        }
        let sasl = if authenticated { Some(sasl(&given)?) } else { None };
        let tls = match (encrypted, files) {
            (false, _) => None,
            (true, Files::Read) => Some(Arc::new(tls::client_config(&given)?)),
            (true, Files::Leave) => Some(Arc::new(tls::client_config(&without_files(&given)?)?)),
        };
        let backoff = Backoff {
            base: given.millis("retry.backoff.ms", 100)?,
            cap: given.millis("retry.backoff.max.ms", 1_000)?,
        };
        Ok(Self {
            bootstrap,
            tls,
            sasl,
            client_id: given.get("client.id").unwrap_or("rdkafka").to_owned(),
            request_timeout: given.millis("socket.timeout.ms", 60_000)?,
            setup_timeout: given.millis("socket.connection.setup.timeout.ms", 30_000)?,
            call_timeout: property::millis(ADMIN_TIMEOUT, admin_timeout.as_deref(), 30_000)?,
            backoff,
            properties: given.into_map(),
        })
    }

    /// All properties for librdkafka, our own left out, **with the password**, also where it comes from a file.
    #[must_use]
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    /// The client id that brokers see; `rdkafka` unless it is set, as in librdkafka.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The user who authenticates by SASL.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.sasl.as_ref().map(|sasl| sasl.username.as_str())
    }
}

/// Values of secret properties are left out.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.properties
                    .iter()
                    .map(|(name, value)| (name, if is_secret(name) { "***" } else { value.as_str() })),
            )
            .finish()
    }
}

/// What is left of the properties for TLS when no file may be read, and what is wrong with naming the files so.
fn without_files(given: &Properties) -> Result<Properties, ConfigError> {
    let authorities = given.either("ssl.ca.pem", "ssl.ca.location")?;
    let certificate = given.either("ssl.certificate.pem", "ssl.certificate.location")?;
    let key = given.either("ssl.key.pem", "ssl.key.location")?;
    let needs = |property: &str, other: &str| Err(ConfigError::new(property, format!("needs {other} too")));
    match (certificate, key) {
        (Some(property), None) => return needs(property, "ssl.key.location"),
        (None, Some(property)) => return needs(property, "ssl.certificate.location"),
        _ => {}
    }
    let mut rest = given.clone();
    if [certificate, key].iter().flatten().any(|property| property.ends_with(".location")) {
        for property in [certificate, key].into_iter().flatten() {
            rest.take(property);
        }
    }
    let verified = given.switch(VERIFICATION, true)?;
    if verified && authorities != Some("ssl.ca.pem") {
        rest.set(VERIFICATION, "false");
    }
    Ok(rest)
}

fn sasl(given: &Properties) -> Result<Sasl, ConfigError> {
    let needed = |name| given.get(name).ok_or_else(|| ConfigError::new(name, "is needed for SASL"));
    let property = "sasl.mechanisms";
    let named = needed(property)?;
    let mechanism = Mechanism::ALL
        .into_iter()
        .find(|mechanism| mechanism.name().eq_ignore_ascii_case(named))
        .ok_or_else(|| {
            ConfigError::new(property, "is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, which work here")
        })?;
    let username = needed("sasl.username")?.to_owned();
    let password = Secret::new(needed("sasl.password")?.to_owned());
    for (property, text) in [("sasl.username", username.as_str()), ("sasl.password", password.expose())] {
        if text.is_empty() || text.contains('\0') {
            return Err(ConfigError::new(property, "is empty or holds a zero character"));
        }
    }
    Ok(Sasl { mechanism, username, password })
}

/// `host`, `host:port`, `[address]:port`, each with or without `protocol://` before it.
fn endpoint(text: &str) -> Result<Endpoint, ConfigError> {
    let wrong = || ConfigError::new("bootstrap.servers", format!("{} is not host:port", text.trim()));
    let address = text.trim();
    let address = address.split_once("://").map_or(address, |(_, address)| address);
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or_else(wrong)?)
        }
        None => address.split_once(':').unwrap_or((address, "")),
    };
    let port = if port.is_empty() { DEFAULT_PORT } else { port.parse().map_err(|_| wrong())? };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    Ok(Endpoint { id: None, host: host.to_owned(), port })
}

#[cfg(test)]
mod tests;
