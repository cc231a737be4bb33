//! How to reach the brokers.

use std::collections::BTreeMap;

use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::source::Span;
use kafka_admin::{Config, ConfigError, is_secret};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::CLIENT_ID;
use super::check::Check;
use super::file::Text;

/// Properties that librdkafka does not have: kafka_admin's own.
const OWN: [&str; 2] = ["sasl.password.file", "admin.timeout.ms"];
/// What librdkafka would load into this process as soon as it is set.
const PLUGINS: &str = "plugin.library.paths";
/// Of what the brokers' clients refuse.
pub(super) const CODE: &str = "kafka";
/// Stands for what only the environment of the daemon knows.
const LATER: &str = "later";

/// Properties by librdkafka's names, as written: secrets stand in files (`sasl.password.file`) or in the environment
/// (`${NAME}`), never here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kafka {
    /// As written.
    pub written: BTreeMap<String, String>,
}

impl Kafka {
    /// The properties with `${NAME}` replaced by what `env` says and with a `client.id`, for `kafka_admin::Config`, which reads
    /// the files.
    ///
    /// # Errors
    /// Names the property and the variable that is not set.
    pub fn properties(
        &self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let resolve = |(property, value): (&String, &String)| {
            let value = match variable(value) {
                None => value.clone(),
                Some(name) => env(name)
                    .ok_or_else(|| format!("{property}: the environment variable {name} is not set"))?,
            };
            Ok((property.clone(), value))
        };
        let mut properties: BTreeMap<_, _> =
            self.written.iter().map(resolve).collect::<Result<_, String>>()?;
        properties.entry("client.id".to_owned()).or_insert_with(|| CLIENT_ID.to_owned());
        Ok(properties)
    }
}

/// The name in `${NAME}`.
pub(super) fn variable(value: &str) -> Option<&str> {
    let name = value.strip_prefix("${")?.strip_suffix('}')?;
    let legal = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (legal && !name.is_empty()).then_some(name)
}

/// Whether the property names a file.
pub(super) fn names_file(property: &str) -> bool {
    [".file", ".location"].iter().any(|end| property.ends_with(end))
}

/// Reads the properties, and tells what kafka_admin or librdkafka would refuse at the start.
pub(super) fn kafka(check: &mut Check<'_>, given: &BTreeMap<String, Text>) -> Kafka {
    for (property, value) in given {
        if is_secret(property) && !names_file(property) && variable(&value.value).is_none() {
            let message = format!("the secret `{property}` stands in the file");
            let help = "write `sasl.password.file: PATH`, or `${NAME}` for a variable of the environment";
            check.secret(value, message, help);
        }
    }
    let known = |text: &Text| variable(&text.value).map_or_else(|| text.value.clone(), |_| LATER.to_owned());
    let mut wrong = None;
    if given.contains_key("bootstrap.servers") {
        wrong = Config::check(given.iter().map(|(property, text)| (property, known(text)))).err();
    } else {
        check.missing(
            "kafka.bootstrap.servers",
            Span::default(),
            "write HOST:PORT of some brokers, comma separated, under `kafka:`",
        );
    }
    if let Some(error) = &wrong
        && find(given, &error.property).is_none_or(|(_, text)| variable(&text.value).is_none())
    {
        refuse(check, given, error);
    }
    for (property, text) in given {
        let told = wrong.as_ref().and_then(|error| find(given, &error.property)).map(|(name, _)| name);
        if told != Some(property) && ![PLUGINS, OWN[0], OWN[1]].contains(&property.as_str()) {
            librdkafka(check, property, text);
        }
    }
    let written = given.iter().map(|(property, value)| (property.clone(), value.value.clone())).collect();
    Kafka { written }
}

/// Tells what kafka_admin refuses, where it stands or else where it is missed.
pub(super) fn refuse(check: &mut Check<'_>, given: &BTreeMap<String, Text>, error: &ConfigError) {
    match find(given, &error.property).or_else(|| given.get_key_value("security.protocol")) {
        Some((_, text)) => check.error(text, CODE, error.to_string(), ""),
        None => check.add(Diagnostic::error(CODE, error.to_string()).at(check.source, Span::default())),
    }
}

/// A property under either of its names.
fn find<'a>(given: &'a BTreeMap<String, Text>, property: &str) -> Option<(&'a String, &'a Text)> {
    let other = match property {
        "bootstrap.servers" => "metadata.broker.list",
        "sasl.mechanisms" => "sasl.mechanism",
        other => other,
    };
    given.get_key_value(property).or_else(|| given.get_key_value(other))
}

/// Tells what librdkafka has no such property, or not with this value, for.
fn librdkafka(check: &mut Check<'_>, property: &str, text: &Text) {
    let later = variable(&text.value).is_some();
    let value = if later { LATER } else { text.value.as_str() };
    match ClientConfig::new().set(property, value).create_native_config() {
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            let help = "see CONFIGURATION.md of librdkafka for their names";
            check.error(text, CODE, format!("librdkafka has no property `{property}`"), help);
        }
        Err(_) if !later => {
            check.error(text, CODE, format!("librdkafka does not take this value of `{property}`"), "");
        }
        _ => {}
    }
}
