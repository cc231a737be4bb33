//! What changes in alerting between two versions of an SLO.

use std::collections::BTreeMap;

use crate::number;
use crate::slo::{AlertMeta, NoData, Sli, Slo};
use crate::window::PeriodWindows;

/// One change, with the value before and after it; an absent value is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Stable kebab-case name for scripts, such as `objective`.
    pub what: &'static str,
    /// Which label, annotation or window, where there are several.
    pub key: Option<String>,
    /// Before.
    pub old: Option<String>,
    /// After.
    pub new: Option<String>,
    /// What it means for who is paged, in one sentence; `None` when it means nothing to them.
    pub effect: Option<String>,
}

/// An SLO with the windows it is watched through.
pub type Watched<'a> = (&'a Slo, &'a PeriodWindows);

/// Everything that differs between two versions of one SLO, the weightiest first.
#[must_use]
pub fn diff(old: Watched<'_>, new: Watched<'_>) -> Vec<Change> {
    let ((old_slo, old_windows), (new_slo, new_windows)) = (old, new);
    let mut changes = Changes(Vec::new());
    objective(old_slo, new_slo, &mut changes);
    changes.text("period", &old_slo.period.to_string(), &new_slo.period.to_string());
    windows(old, new, &mut changes);
    sli(&old_slo.sli, &new_slo.sli, &mut changes);
    alert("page", old_slo.page.as_ref(), new_slo.page.as_ref(), &mut changes);
    alert("ticket", old_slo.ticket.as_ref(), new_slo.ticket.as_ref(), &mut changes);
    own(old_slo, new_slo, &mut changes);
    changes.map("label", &old_slo.labels, &new_slo.labels);
    if old_windows.base() != new_windows.base() {
        changes.effect("the base window changes: the history counted so far does not fit the new rules");
    }
    changes.0
}

struct Changes(Vec<Change>);

impl Changes {
    fn push(&mut self, what: &'static str, key: Option<&str>, old: Option<String>, new: Option<String>) {
        if old != new {
            self.0.push(Change { what, key: key.map(str::to_owned), old, new, effect: None });
        }
    }

    fn text(&mut self, what: &'static str, old: &str, new: &str) {
        self.push(what, None, Some(old.to_owned()), Some(new.to_owned()));
    }

    /// Says what the last change means.
    fn effect(&mut self, effect: impl Into<String>) {
        if let Some(last) = self.0.last_mut() {
            last.effect = Some(effect.into());
        }
    }

    fn map(&mut self, what: &'static str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
        for (key, value) in old {
            self.push(what, Some(key), Some(value.clone()), new.get(key).cloned());
        }
        for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
            self.push(what, Some(key), None, Some(value.clone()));
        }
    }
}

fn objective(old: &Slo, new: &Slo, changes: &mut Changes) {
    let before = changes.0.len();
    changes.text("objective", &number::plain(old.objective), &number::plain(new.objective));
    if changes.0.len() == before {
        return;
    }
    let minutes = |slo: &Slo| (100.0 - slo.objective) / 100.0 * slo.period.as_secs_f64() / 60.0;
    let (was, is) = (minutes(old), minutes(new));
    let direction = if new.objective > old.objective { "alerts fire sooner" } else { "alerts fire later" };
    changes.effect(format!(
        "the error budget goes from {was:.1} to {is:.1} minutes of full outage, {direction}"
    ));
}

fn windows(old: Watched<'_>, new: Watched<'_>, changes: &mut Changes) {
    let describe = |watched: Watched<'_>| {
        let (slo, windows) = watched;
        let budget = (100.0 - slo.objective) / 100.0;
        let enabled = [slo.page.is_some(), slo.page.is_some(), slo.ticket.is_some(), slo.ticket.is_some()];
        let pairs = windows.pairs().into_iter().zip(enabled);
        let described = pairs.map(|((name, pair), enabled)| {
            let factor = pair.factor(windows.period);
            let text = (
                format!("{} and {}", pair.short, pair.long),
                short(factor),
                format!("{} %", short(factor * budget * 100.0)),
            );
            (name, enabled.then_some(text))
        });
        described.collect::<Vec<_>>()
    };
    for ((name, old), (_, new)) in describe(old).into_iter().zip(describe(new)) {
        // Alerts that appear or disappear are told as such.
        if let (Some(old), Some(new)) = (old, new) {
            changes.push("windows", Some(name), Some(old.0), Some(new.0));
            changes.push("factor", Some(name), Some(old.1), Some(new.1));
            changes.push("threshold", Some(name), Some(old.2), Some(new.2));
        }
    }
}

/// Four decimals without the zeros behind.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn sli(old: &Sli, new: &Sli, changes: &mut Changes) {
    let parts = |sli: &Sli| match sli {
        Sli::Events { error, total } => [Some(error.0.clone()), Some(total.0.clone()), None, None],
        Sli::GoodTotal { good, total } => [None, Some(total.0.clone()), Some(good.0.clone()), None],
        Sli::Raw { error_ratio } => [None, None, None, Some(error_ratio.0.clone())],
    };
    let names = ["error-query", "total-query", "good-query", "error-ratio-query"];
    for ((what, old), new) in names.into_iter().zip(parts(old)).zip(parts(new)) {
        // Only white space at the ends differs: nothing changes.
        if old.as_deref().map(str::trim) != new.as_deref().map(str::trim) {
            changes.push(what, None, old, new);
        }
    }
}

fn alert(tier: &'static str, old: Option<&AlertMeta>, new: Option<&AlertMeta>, changes: &mut Changes) {
    let state = |alert: Option<&AlertMeta>| if alert.is_some() { "on" } else { "off" };
    match (old, new) {
        (Some(old), Some(new)) => {
            if old.name != new.name {
                changes.push("alert-name", Some(tier), Some(old.name.clone()), Some(new.name.clone()));
                changes.effect("routes and silences that name the alert no longer match");
            }
            let (label, annotation) = match tier {
                "page" => ("page-label", "page-annotation"),
                _ => ("ticket-label", "ticket-annotation"),
            };
            let before = changes.0.len();
            changes.map(label, &old.labels, &new.labels);
            if changes.0.len() > before {
                changes
                    .effect("the alert gets a new identity: it may be routed elsewhere and notified again");
            }
            changes.map(annotation, &old.annotations, &new.annotations);
        }
        (None, None) => {}
        (old, new) => {
            changes.push("alert", Some(tier), Some(state(old).to_owned()), Some(state(new).to_owned()));
            let effect = match (tier, new.is_some()) {
                ("page", true) => "people are now woken",
                ("page", false) => "nobody is woken any more",
                (_, true) => "tickets are now opened",
                (_, false) => "no tickets are opened any more",
            };
            changes.effect(effect);
        }
    }
}

fn own(old: &Slo, new: &Slo, changes: &mut Changes) {
    let no_data = |slo: &Slo| match slo.own.no_data {
        NoData::Ignore => "ignore",
        NoData::Good => "good",
        NoData::Bad => "bad",
    };
    changes.text("no_data", no_data(old), no_data(new));
    let (a, b) = (&old.own, &new.own);
    changes.push(
        "min_events",
        None,
        a.min_events.map(|n| n.to_string()),
        b.min_events.map(|n| n.to_string()),
    );
    let duration = |value: Option<crate::PromDuration>| value.map(|value| value.to_string());
    changes.push("scrape_interval", None, duration(a.scrape_interval), duration(b.scrape_interval));
    let weight = |own: &crate::slo::OwnKeys| own.weight_query.as_ref().map(|query| query.0.clone());
    changes.push("weight_query", None, weight(a), weight(b));
    changes.push("owner", None, a.owner.clone(), b.owner.clone());
    changes.push("runbook_url", None, a.runbook_url.clone(), b.runbook_url.clone());
}
