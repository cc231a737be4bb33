//! Baselines: the median of a client's rate over weeks, made rarely and kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daemon_kit::clock::Clock;
use daemon_kit::prom::{Client, Series};
use quota_enforcer_core::entity::{Entity, Kind};
use quota_enforcer_core::policy::{Policy, Rule};
use quota_enforcer_core::quota::Key;

use super::{Prometheus, names};
use crate::spec;
use crate::spec::profile::Profile;

/// What a baseline is of.
type Of = (Key, Kind);

type Made = BTreeMap<Of, (Duration, Medians)>;

/// Medians by entity.
type Medians = BTreeMap<Entity, f64>;

/// Those that were made, with the monotonic time of it.
#[derive(Debug)]
pub(super) struct Baselines {
    settings: spec::Baseline,
    made: Mutex<Made>,
}

impl Baselines {
    pub(super) fn new(settings: spec::Baseline) -> Self {
        Self { settings, made: Mutex::default() }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is made next does not wait until it is due.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.made().clear();
    }

    /// Makes what is due, one after the other, and returns what could not be made.
    pub(super) async fn refresh(
        &self,
        client: &Client,
        profile: &Profile,
        clock: &dyn Clock,
        policy: &Policy,
    ) -> Vec<String> {
        let mut faults = Vec::new();
        let needed: BTreeSet<Of> =
            policy.rules.iter().filter(|rule| rule.needs_baselines()).map(of).collect();
        for (key, kind) in needed {
            let made = self.made().get(&(key, kind)).map(|(at, _)| *at);
            let now = clock.monotonic();
            if made.is_some_and(|at| now.saturating_sub(at) < self.settings.refresh) {
                continue;
            }
            let Some(selector) = profile.series.get(&key) else { continue };
            let query = query(profile, &self.settings, selector, kind);
            match Prometheus::ask(client, &query, self.settings.timeout).await {
                Ok(series) => {
                    self.made().insert((key, kind), (now, medians(profile, kind, &series)));
                }
                Err(why) => faults.push(format!("cannot make baselines of {key}: {why}")),
            }
        }
        faults
    }

    /// Those of each rule that needs them, and which are missing or too old to be used.
    pub(super) fn of(&self, policy: &Policy, clock: &dyn Clock) -> (BTreeMap<String, Medians>, Vec<String>) {
        let (mut found, mut faults) = (BTreeMap::new(), Vec::new());
        let (made, now) = (self.made(), clock.monotonic());
        for rule in policy.rules.iter().filter(|rule| rule.needs_baselines()) {
            match made.get(&of(rule)) {
                None => faults.push(format!("rule {} has no baselines yet", rule.name)),
                Some((at, _)) if now.saturating_sub(*at) > self.settings.refresh * 3 => {
                    let age = now.saturating_sub(*at).as_secs();
                    faults.push(format!("the baselines of rule {} are {age} s old and not used", rule.name));
                }
                Some((_, medians)) => {
                    let selected = medians.iter().filter(|(entity, _)| rule.select.selects(entity));
                    let selected = selected.map(|(entity, median)| (entity.clone(), *median)).collect();
                    found.insert(rule.name.clone(), selected);
                }
            }
        }
        (found, faults)
    }
}

fn of(rule: &Rule) -> Of {
    (rule.key, rule.entity)
}

/// The median of an entity's rates at even steps of the window, where there are enough of them.
fn query(profile: &Profile, settings: &spec::Baseline, selector: &str, kind: Kind) -> String {
    let (user, client_id) = (&profile.user_label, &profile.client_id_label);
    let (by, present) = match kind {
        Kind::User => (user.clone(), format!("{user}!=\"\"")),
        Kind::ClientId => (client_id.clone(), format!("{client_id}!=\"\"")),
        Kind::Pair => (format!("{user},{client_id}"), format!("{user}!=\"\",{client_id}!=\"\"")),
    };
    let rates = format!("sum by ({by}) ({})", spec::profile::narrowed(selector, &present));
    let steps =
        format!("({rates})[{}s:{}s]", settings.window.as_secs().max(1), settings.step.as_secs().max(1));
    let enough = settings.history.as_secs() / settings.step.as_secs().max(1);
    format!("quantile_over_time(0.5, {steps}) and count_over_time({steps}) >= {}", enough.max(1))
}

/// A median of zero says nothing of what is much.
fn medians(profile: &Profile, kind: Kind, series: &[Series]) -> Medians {
    let median = |series: &Series| {
        let client = names::client(profile, |label| series.labels.get(label));
        let median = series.last().filter(|median| median.is_finite() && *median > 0.0)?;
        Some((Entity::of(kind, &client)?, median))
    };
    series.iter().filter_map(median).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_promql() {
        let settings = spec::Baseline {
            window: Duration::from_secs(28 * 86_400),
            step: Duration::from_secs(3_600),
            history: Duration::from_secs(86_400),
            refresh: Duration::from_secs(3_600),
            timeout: Duration::from_secs(60),
        };
        for preset in spec::profile::PRESETS {
            let profile = Profile::preset(preset).unwrap();
            for selector in profile.series.values() {
                for kind in [Kind::User, Kind::ClientId, Kind::Pair] {
                    let query = query(&profile, &settings, selector, kind);
                    promql_parser::parser::parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
                }
            }
        }
        let profile = Profile::preset("confluent-jmx").unwrap();
        let selector = &profile.series[&Key::ProducerByteRate];
        assert_eq!(
            query(&profile, &settings, selector, Kind::User),
            "quantile_over_time(0.5, (sum by (user) (kafka_server_produce_byte_rate{user!=\"\"}))[2419200s:3600s]) and \
             count_over_time((sum by (user) (kafka_server_produce_byte_rate{user!=\"\"}))[2419200s:3600s]) >= 24"
        );
    }
}
