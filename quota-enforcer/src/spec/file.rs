//! The file as it is written: every scalar is text with its place, and read in [`super::check`], so that all errors are
//! told at once.

use std::collections::BTreeMap;

use daemon_kit::config::Spanned;
use serde::Deserialize;

/// A scalar with its place.
pub(super) type Text = Spanned<String>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) kafka: BTreeMap<String, Text>,
    pub(super) prometheus: Prometheus,
    pub(super) metrics: Metrics,
    pub(super) evidence: Evidence,
    pub(super) baseline: Baseline,
    pub(super) ledger: Ledger,
    pub(super) admin: Admin,
    pub(super) tick: Option<Text>,
    pub(super) mute_bound: Option<Text>,
    pub(super) shutdown: Option<Text>,
    pub(super) caps: Caps,
    pub(super) protected: Names,
    /// `None` also where nothing follows the key.
    pub(super) rules: Option<Vec<Spanned<Rule>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Prometheus {
    pub(super) url: Option<Text>,
    pub(super) token_file: Option<Text>,
    pub(super) user: Option<Text>,
    pub(super) password_file: Option<Text>,
    pub(super) tenant: Option<Text>,
    pub(super) ca_file: Option<Text>,
    pub(super) timeout: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Metrics {
    pub(super) profile: Option<Text>,
    pub(super) matchers: Option<Text>,
    pub(super) produce: Option<Text>,
    pub(super) consume: Option<Text>,
    pub(super) request_time: Option<Text>,
    pub(super) scraped: Option<Text>,
    pub(super) user_label: Option<Text>,
    pub(super) client_id_label: Option<Text>,
    pub(super) names: Option<Text>,
    pub(super) broker: Broker,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Broker {
    pub(super) label: Option<Text>,
    pub(super) pattern: Option<Text>,
    pub(super) ids: BTreeMap<String, Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Evidence {
    pub(super) scrape_interval: Option<Text>,
    pub(super) max_age: Option<Text>,
    pub(super) coverage: Option<Text>,
    pub(super) settle_scrapes: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Baseline {
    pub(super) window: Option<Text>,
    pub(super) step: Option<Text>,
    pub(super) history: Option<Text>,
    pub(super) refresh: Option<Text>,
    pub(super) timeout: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Ledger {
    pub(super) topic: Option<Text>,
    pub(super) audit_topic: Option<Text>,
    pub(super) replication: Option<Text>,
    pub(super) min_insync_replicas: Option<Text>,
    pub(super) audit_retention: Option<Text>,
    pub(super) lease: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    pub(super) listen: Option<Text>,
    pub(super) token_file: Option<Text>,
    pub(super) advertise: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Caps {
    pub(super) throttles: Option<Text>,
    pub(super) share_of_clients: Option<Text>,
    pub(super) share_of_traffic: Option<Text>,
    pub(super) changes_per_minute: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Names {
    /// An empty list is a statement, none is not.
    pub(super) users: Option<Vec<Text>>,
    pub(super) client_ids: Vec<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rule {
    pub(super) name: Option<Text>,
    pub(super) owner: Option<Text>,
    pub(super) runbook_url: Option<Text>,
    pub(super) mode: Option<Text>,
    pub(super) select: Option<Spanned<Names>>,
    pub(super) entity: Option<Text>,
    pub(super) measure: Option<Text>,
    pub(super) query: Option<Text>,
    pub(super) enter: Option<Text>,
    pub(super) release: Option<Text>,
    pub(super) confirm: Option<Text>,
    pub(super) limit: Option<Text>,
    pub(super) floor: Option<Text>,
    pub(super) hold: Hold,
    pub(super) when: Option<Spanned<When>>,
    pub(super) sentinel: Option<Text>,
    pub(super) burst: Burst,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Hold {
    pub(super) minimum: Option<Text>,
    pub(super) duration: Option<Text>,
    pub(super) factor: Option<Text>,
    pub(super) longest: Option<Text>,
    pub(super) memory: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct When {
    pub(super) slo: Option<Text>,
    pub(super) burn_rate: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Burst {
    pub(super) connections: Option<Text>,
    pub(super) request_bytes: Option<Text>,
}
