//! What exporters call the brokers' quota sensors.

use std::collections::BTreeMap;

use quota_enforcer_core::quota::Key;
use quota_enforcer_core::usage::BrokerId;
use regex_lite::Regex;

/// How to find the sensors' rates in Prometheus, and whose they are.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Of the preset, or `custom`.
    pub name: String,
    /// The selector of the rates of each key, such as `kafka_server_quota_byte_rate{resource="Produce"}`.
    pub series: BTreeMap<Key, String>,
    /// The series that tells that a broker was scraped with success.
    pub scraped: Scraped,
    /// The label with the user.
    pub user_label: String,
    /// The label with the client id.
    pub client_id_label: String,
    /// How names stand in the labels.
    pub names: Names,
    /// How the broker is found.
    pub broker: Broker,
}

/// A series that has a known value when, and only when, a broker's sensors were scraped with success.
#[derive(Clone, Debug, PartialEq)]
pub struct Scraped {
    /// Its selector.
    pub selector: String,
    /// Its value then.
    pub good: f64,
}

/// How names stand in labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// As the broker registers its sensors: users URL-encoded, odd client ids in JMX quotes.
    Jmx,
    /// As they are.
    Plain,
}

/// How the broker of a series is found: a label's value, looked up in `ids`, else matched, else a number by itself.
#[derive(Clone, Debug)]
pub struct Broker {
    /// The label.
    pub label: String,
    /// Its first group is the broker's id.
    pub pattern: Option<Regex>,
    /// The ids of label values.
    pub ids: BTreeMap<String, BrokerId>,
}

/// Of the patterns their texts count.
impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        let pattern = |broker: &Broker| broker.pattern.as_ref().map(|pattern| pattern.as_str().to_owned());
        let Self { name, series, scraped, user_label, client_id_label, names, broker } = self;
        *name == other.name
            && *series == other.series
            && *scraped == other.scraped
            && *user_label == other.user_label
            && *client_id_label == other.client_id_label
            && *names == other.names
            && broker.label == other.broker.label
            && broker.ids == other.broker.ids
            && pattern(broker) == pattern(&other.broker)
    }
}

impl Broker {
    /// The id that a label value stands for.
    #[must_use]
    pub fn id(&self, value: &str) -> Option<BrokerId> {
        if let Some(id) = self.ids.get(value) {
            return Some(*id);
        }
        let digits = match &self.pattern {
            Some(pattern) => pattern.captures(value)?.get(1)?.as_str(),
            None if self.ids.is_empty() => value,
            None => return None,
        };
        digits.parse().ok().filter(|id| *id >= 0)
    }
}

/// Names of the presets.
pub const PRESETS: [&str; 3] = ["backstop", "jmx-exporter-kafka-2_0_0", "confluent-jmx"];

impl Profile {
    /// A preset:
    ///
    /// | name | exporter rules |
    /// |---|---|
    /// | `backstop` | `deploy/jmx-exporter/kafka.yml` of this project |
    /// | `jmx-exporter-kafka-2_0_0` | `kafka-2_0_0.yml` of prometheus/jmx_exporter |
    /// | `confluent-jmx` | `kafka_broker.yml` of confluentinc/jmx-monitoring-stacks |
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        let quota = [
            r#"kafka_server_quota_byte_rate{resource="Produce"}"#,
            r#"kafka_server_quota_byte_rate{resource="Fetch"}"#,
            r#"kafka_server_quota_request_time{resource="Request"}"#,
        ];
        let (series, client_id_label) = match name {
            "backstop" => (quota, "client_id"),
            "jmx-exporter-kafka-2_0_0" => (quota, "clientId"),
            "confluent-jmx" => {
                let flat = [
                    "kafka_server_produce_byte_rate",
                    "kafka_server_fetch_byte_rate",
                    "kafka_server_request_request_time",
                ];
                (flat, "client_id")
            }
            _ => return None,
        };
        let series = Key::ALL.into_iter().zip(series.map(str::to_owned)).collect();
        Some(Self {
            name: name.to_owned(),
            series,
            client_id_label: client_id_label.to_owned(),
            ..Self::bare()
        })
    }

    /// Without series: the rest as with the JMX exporter.
    pub(super) fn bare() -> Self {
        Self {
            name: "custom".to_owned(),
            series: BTreeMap::new(),
            // `up` also is 1 when the exporter answers and the JVM does not.
            scraped: Scraped { selector: "jmx_scrape_error".to_owned(), good: 0.0 },
            user_label: "user".to_owned(),
            client_id_label: "client_id".to_owned(),
            names: Names::Jmx,
            broker: Broker { label: "broker".to_owned(), pattern: None, ids: BTreeMap::new() },
        }
    }
}

/// A selector with further matchers.
pub(crate) fn narrowed(selector: &str, matchers: &str) -> String {
    if matchers.is_empty() {
        return selector.to_owned();
    }
    match selector.trim_end().strip_suffix('}') {
        Some(open) => {
            let open = open.trim_end().trim_end_matches(',');
            let comma = if open.ends_with('{') { "" } else { "," };
            format!("{open}{comma}{matchers}}}")
        }
        None => format!("{selector}{{{matchers}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_every_key() {
        for name in PRESETS {
            let profile = Profile::preset(name).unwrap();
            assert_eq!(profile.series.len(), Key::ALL.len(), "{name}");
            for selector in profile.series.values() {
                promql_parser::parser::parse(&narrowed(selector, r#"cluster="a""#)).unwrap();
            }
        }
        assert_eq!(Profile::preset("strimzi"), None);
    }

    #[test]
    fn matchers_join_those_that_are_there() {
        for (selector, narrow) in [
            ("m", r#"m{a="b"}"#),
            ("m{}", r#"m{a="b"}"#),
            (r#"m{c="}"}"#, r#"m{c="}",a="b"}"#),
            (r#"m{c="d",} "#, r#"m{c="d",a="b"}"#),
        ] {
            assert_eq!(narrowed(selector, r#"a="b""#), narrow);
            promql_parser::parser::parse(narrow).unwrap();
        }
        assert_eq!(narrowed("m", ""), "m");
    }

    #[test]
    fn brokers_are_found_by_map_pattern_or_number() {
        let mut broker = Profile::bare().broker;
        assert_eq!(
            (broker.id("3"), broker.id("-3"), broker.id("kafka-3"), broker.id("")),
            (Some(3), None, None, None)
        );
        broker.pattern = Some(Regex::new(r"^kafka-(\d+)\.").unwrap());
        assert_eq!(
            (broker.id("kafka-12.kafka:9404"), broker.id("3"), broker.id("kafka-99999999999.")),
            (Some(12), None, None)
        );
        broker.ids.insert("3".to_owned(), 7);
        assert_eq!((broker.id("3"), broker.id("kafka-1.x"), broker.id("4")), (Some(7), Some(1), None));
        broker.pattern = None;
        assert_eq!((broker.id("3"), broker.id("4")), (Some(7), None), "a map is complete");
    }
}
