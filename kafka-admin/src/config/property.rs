//! Names and values.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::ConfigError;

/// librdkafka's second names for a property, with the first ones.
const ALIASES: [(&str, &str); 2] =
    [("metadata.broker.list", "bootstrap.servers"), ("sasl.mechanism", "sasl.mechanisms")];

/// What was given, under the first names.
#[derive(Clone)]
pub(crate) struct Properties(BTreeMap<String, String>);

impl Properties {
    pub(super) fn new<K: Into<String>, V: Into<String>>(
        given: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError> {
        let mut properties = BTreeMap::new();
        for (name, value) in given {
            let mut name = name.into();
            if let Some((_, first)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
                (*first).clone_into(&mut name);
            }
            if properties.contains_key(&name) {
                return Err(ConfigError::new(&name, "is given twice"));
            }
            properties.insert(name, value.into());
        }
        Ok(Self(properties))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }

    pub(super) fn millis(&self, name: &str, default: u64) -> Result<Duration, ConfigError> {
        millis(name, self.get(name), default)
    }

    /// A switch, in the words that librdkafka takes.
    pub(crate) fn switch(&self, name: &str, default: bool) -> Result<bool, ConfigError> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true" | "t" | "1") => Ok(true),
            Some("false" | "f" | "0") => Ok(false),
            Some(_) => Err(ConfigError::new(name, "is neither true nor false")),
        }
    }

    /// Text that stands in one property, or in the file that another one names; with the property that has it.
    pub(crate) fn text(
        &self,
        inline: &'static str,
        location: &'static str,
    ) -> Result<Option<(&'static str, String)>, ConfigError> {
        let Some(property) = self.either(inline, location)? else { return Ok(None) };
        let value = self.get(property).unwrap_or_default();
        let text = if property == inline { value.to_owned() } else { in_file(property, Path::new(value))? };
        Ok(Some((property, text)))
    }

    /// Which of two properties is given that exclude each other.
    pub(super) fn either(
        &self,
        inline: &'static str,
        location: &'static str,
    ) -> Result<Option<&'static str>, ConfigError> {
        match (self.get(inline), self.get(location)) {
            (None, None) => Ok(None),
            (Some(_), None) => Ok(Some(inline)),
            (None, Some(_)) => Ok(Some(location)),
            (Some(_), Some(_)) => {
                Err(ConfigError::new(location, format!("stands beside {inline}: use one of them")))
            }
        }
    }
}

pub(super) fn millis(name: &str, value: Option<&str>, default: u64) -> Result<Duration, ConfigError> {
    let millis = match value {
        None => default,
        Some(text) => text
            .trim()
            .parse::<u32>()
            .ok()
            .filter(|millis| *millis > 0)
            .map(u64::from)
            .ok_or_else(|| ConfigError::new(name, "is not a number of milliseconds above 0"))?,
    };
    Ok(Duration::from_millis(millis))
}

pub(super) fn in_file(property: &str, path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::new(property, format!("cannot read {}: {error}", path.display())))
}

/// Whether the value of a property must not be shown. Wrong only towards hiding too much.
pub fn is_secret(name: &str) -> bool {
    ["password", "secret", "key.pem", "jaas", "token", "oauthbearer"].iter().any(|part| name.contains(part))
}
