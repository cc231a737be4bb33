//! Names of the series, their selectors and their labels.

use std::collections::BTreeMap;

use super::Plan;
use crate::PromDuration;

/// Running counts; not counters: ten interleaved chains (no `rate()` or `increase()` of it).
pub const TALLY: &str = "slo:sli_events:tally";
/// Events of one alert window.
pub const WINDOW: &str = "slo:sli_events:window";
/// Start of the latest epoch of the count, in seconds since 1970.
pub const BORN: &str = "slo:sli_events:born";
/// The count that a window starts from where none was recorded at its start.
pub const FLOOR: &str = "slo:sli_events:floor";
/// The count at the start of a window longer than an hour.
pub const PAST: &str = "slo:sli_events:past";
/// What the count adds to for one base window after a hole or a birth.
pub const RECOVERED: &str = "slo:sli_events:recovered";
/// The count before the latest hole, zero before any.
pub const HELD: &str = "slo:sli_events:held";
/// Total of a query that is not counted, over `sloth_window`, in the query's own unit.
pub const DIRECT: &str = "slo:sli_direct:total";
/// Prefix of the events of one base window; the base follows, as in `slo:sli_events:increase5m`.
pub const INCREASE: &str = "slo:sli_events:increase";

/// `slo:sli_error:ratio_rate5m` and so on.
#[must_use]
pub fn ratio_record(window: PromDuration) -> String {
    format!("slo:sli_error:ratio_rate{window}")
}

impl Plan<'_> {
    /// Name of the base window's events.
    pub(crate) fn increase(&self) -> String {
        format!("{INCREASE}{}", self.base)
    }

    /// `metric{sloth_id="..", more}`. The id alone names an SLO: ids are unique in a rule set.
    pub(crate) fn series(&self, metric: &str, more: &str) -> String {
        let comma = if more.is_empty() { "" } else { "," };
        format!("{metric}{{sloth_id=\"{}\"{comma}{more}}}", self.slo.id)
    }

    /// Events of the base window, one kind.
    pub(crate) fn increase_of(&self, event: &str) -> String {
        self.series(&self.increase(), &format!("sloth_event=\"{event}\""))
    }

    /// The identity and nothing else: what event series carry.
    pub(crate) fn identity(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("sloth_id".to_owned(), self.slo.id.clone()),
            ("sloth_service".to_owned(), self.slo.service.clone()),
            ("sloth_slo".to_owned(), self.slo.name.clone()),
        ])
    }

    /// Identity and kind.
    pub(super) fn event_labels(&self, event: &str) -> BTreeMap<String, String> {
        let mut labels = self.identity();
        labels.insert("sloth_event".to_owned(), event.to_owned());
        labels
    }

    /// The id alone, for records whose expression carries the other labels.
    pub(super) fn id_label(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("sloth_id".to_owned(), self.slo.id.clone())])
    }

    /// All labels that Sloth writes; the identity wins over the SLO's own labels of the same name.
    pub(super) fn all_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.slo.labels.clone();
        labels.retain(|name, _| !matches!(name.as_str(), "sloth_window" | "sloth_event"));
        labels.extend(self.identity());
        labels
    }

    /// All labels and the window's.
    pub(super) fn window_labels(&self, window: PromDuration) -> BTreeMap<String, String> {
        let mut labels = self.all_labels();
        labels.insert("sloth_window".to_owned(), window.to_string());
        labels
    }
}
