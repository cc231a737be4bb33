//! Prometheus rule groups as values; how they are written out is the caller's business.

use std::collections::BTreeMap;

use crate::duration::PromDuration;

/// A recording or an alerting rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// `record:`
    Record,
    /// `alert:`
    Alert,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Record or alert.
    pub kind: RuleKind,
    /// Metric name or alert name.
    pub name: String,
    /// PromQL.
    pub expr: String,
    /// `for:` of an alert.
    pub hold: Option<PromDuration>,
    /// Labels, sorted.
    pub labels: BTreeMap<String, String>,
    /// Annotations of an alert, sorted.
    pub annotations: BTreeMap<String, String>,
}

/// A group: evaluated in order, at one interval.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleGroup {
    /// Unique in the file.
    pub name: String,
    /// `None` leaves Prometheus' global interval (profile `sloth`).
    pub interval: Option<PromDuration>,
    /// In evaluation order.
    pub rules: Vec<Rule>,
}
