//! The SLO as the generators see it: every spec format is lowered to this.

use std::collections::BTreeMap;

use crate::duration::PromDuration;

/// Which spec format an SLO came from. Its label value is what Sloth writes as `sloth_spec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecKind {
    /// Sloth `prometheus/v1`.
    PrometheusV1,
    /// Sloth's Kubernetes object `sloth.slok.dev/v1 PrometheusServiceLevel`.
    KubernetesV1,
    /// OpenSLO `openslo/v1alpha`, as Sloth reads it.
    OpenSloV1Alpha,
    /// OpenSLO `openslo/v1`, which Sloth does not read.
    OpenSloV1,
}

/// A PromQL text that may hold the template action `{{.window}}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query(pub String);

/// How good and bad are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sli {
    /// Bad events over all events.
    Events {
        /// Counts bad events.
        error: Query,
        /// Counts all events.
        total: Query,
    },
    /// Good events over all events (OpenSLO's ratio metric). Profile `sloth` writes it as the raw ratio
    /// `1 - (good / total)`, profile `lean` counts `total - good` bad events.
    GoodTotal {
        /// Counts good events.
        good: Query,
        /// Counts all events.
        total: Query,
    },
    /// A ready error ratio between 0 and 1.
    Raw {
        /// The ratio.
        error_ratio: Query,
    },
}

/// One alert (page or ticket) of an SLO, labels and annotations already merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertMeta {
    /// `alert:` of the rule; the same for page and ticket.
    pub name: String,
    /// Alert labels, without `sloth_severity`.
    pub labels: BTreeMap<String, String>,
    /// Alert annotations given by the user.
    pub annotations: BTreeMap<String, String>,
}

/// What a window without any events means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NoData {
    /// No events, no ratio: nothing is said about the window.
    #[default]
    Ignore,
    /// An idle base window counts like an average one without errors.
    Good,
    /// An idle base window counts like an average one of errors only.
    Bad,
}

/// Our optional keys, read from the one key that Sloth ignores.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnKeys {
    /// Meaning of idle windows.
    pub no_data: NoData,
    /// An alert needs at least this many events in the long window of its pair.
    pub min_events: Option<u64>,
    /// Period of this SLO instead of the command's default.
    pub period: Option<PromDuration>,
    /// Scrape interval of the series behind the SLI; the default is the command's.
    pub scrape_interval: Option<PromDuration>,
    /// For a raw ratio: how many events it stands for, so that it can be counted.
    pub weight_query: Option<Query>,
    /// Who answers for the SLO.
    pub owner: Option<String>,
    /// Where the person paged finds help.
    pub runbook_url: Option<String>,
}

/// One service level objective, lowered and complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// `<service>-<name>`; `sloth_id` of every series.
    pub id: String,
    /// `sloth_slo`.
    pub name: String,
    /// `sloth_service`.
    pub service: String,
    /// For people only; Sloth writes it nowhere.
    pub description: String,
    /// Percent, `0 < objective <= 100` once checked.
    pub objective: f64,
    /// Length of the error budget period.
    pub period: PromDuration,
    /// Group labels merged with SLO labels and extra labels (the last wins).
    pub labels: BTreeMap<String, String>,
    /// The indicator.
    pub sli: Sli,
    /// `None` when disabled.
    pub page: Option<AlertMeta>,
    /// `None` when disabled.
    pub ticket: Option<AlertMeta>,
    /// Where it came from.
    pub spec: SpecKind,
    /// Our optional keys.
    pub own: OwnKeys,
}
