//! At the start: what of the metrics the rules need is not there, in plain words.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use daemon_kit::prom::Series;
use quota_enforcer_core::entity::{Entity, Kind};
use quota_enforcer_core::policy::Policy;
use quota_enforcer_core::quota::Key;
use quota_enforcer_core::usage::BrokerId;

use super::{Prometheus, look_back, ranged, rates};
use crate::spec::profile::Names;

/// Farther apart, ages of samples mean nothing.
const CLOCKS_MS: i64 = 2_000;

/// What a metric's name has in it if it may be a quota sensor's.
const LOOKS_LIKE_ONE: &str = "(?i).*(quota|produce|fetch|request).*(byte.?rate|request.?time).*";

/// How many names and values a message lists.
const LISTED: usize = 5;

impl Prometheus {
    /// Looks whether the rules can be measured: `brokers` are those of the cluster. One message for each thing that is
    /// amiss; none when all is well.
    pub async fn self_check(
        &self,
        policy: &Policy,
        brokers: &BTreeSet<BrokerId>,
        limit: Duration,
    ) -> Vec<String> {
        let mut messages = Vec::new();
        let before = self.clock.now_ms();
        let server = match Self::ask(&self.client, "vector(time() * 1000)", limit).await {
            Ok(series) => series.first().and_then(Series::last),
            Err(why) => return vec![format!("Prometheus cannot be asked: {why}")],
        };
        // Its answer is of some moment between the question and now.
        let doubt = (self.clock.now_ms() - before) / 2;
        let here = before + doubt;
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds since 1970")]
        let apart = server.map_or(0, |server| here - server as i64);
        if apart.abs() > CLOCKS_MS + doubt {
            let way = if apart > 0 { "behind" } else { "ahead of" };
            messages.push(format!(
                "the clock of Prometheus is {:.1} s {way} this one: the ages of samples are wrong by that",
                apart.abs() as f64 / 1000.0
            ));
        }
        let back = look_back(&policy.evidence);
        let scraped = &self.profile.scraped.selector;
        match Self::ask(&self.client, &ranged(scraped, back), limit).await {
            Ok(series) => messages.extend(self.check_brokers(&series, brokers)),
            Err(why) => messages.push(format!("cannot read {scraped}: {why}")),
        }
        let keys: BTreeSet<Key> = policy.rules.iter().map(|rule| rule.key).collect();
        let mut silent = false;
        for key in keys {
            let Some(selector) = self.profile.series.get(&key) else { continue };
            match Self::ask(&self.client, &ranged(selector, back), limit).await {
                Ok(series) if series.is_empty() => {
                    silent = true;
                    messages.push(format!(
                        "no series matches profile {}: {selector} (for {key})",
                        self.profile.name
                    ));
                }
                Ok(series) => messages.extend(self.check_labels(policy, key, &series)),
                Err(why) => messages.push(format!("cannot read {selector}: {why}")),
            }
        }
        if silent {
            messages.push(self.look_alikes(limit).await);
        }
        messages
    }

    fn check_brokers(&self, series: &[Series], brokers: &BTreeSet<BrokerId>) -> Vec<String> {
        let selector = &self.profile.scraped.selector;
        if series.is_empty() {
            return vec![format!(
                "no series matches {selector}, which tells whether brokers were scraped; if the exporter has no such \
                 series, set metrics.scraped, for example to: up{{job=\"kafka\"}} == 1"
            )];
        }
        let (scraped, fault) = rates::scraped(&self.profile, series);
        let mut messages: Vec<String> = fault.into_iter().collect();
        let label = &self.profile.broker.label;
        let unknown = series.iter().filter(|series| rates::broker(&self.profile, &series.labels).is_none());
        let values = list(unknown.filter_map(|series| series.labels.get(label)).map(String::as_str));
        if !values.is_empty() && scraped.len() < brokers.len() {
            messages.push(format!(
                "values of label {label} that name no broker id: {values}; metrics.broker (pattern or ids) says which \
                 broker each is"
            ));
        }
        let missing = list(brokers.iter().filter(|id| !scraped.contains_key(id)).map(ToString::to_string));
        if !missing.is_empty() && !scraped.is_empty() {
            messages.push(format!("brokers of the cluster that {selector} does not show scraped: {missing}"));
        }
        let foreign = list(scraped.keys().filter(|id| !brokers.contains(id)).map(ToString::to_string));
        if !foreign.is_empty() {
            messages.push(format!(
                "broker ids in the metrics that the cluster does not have: {foreign}; is another cluster scraped too? \
                 (metrics.matchers)"
            ));
        }
        messages
    }

    fn check_labels(&self, policy: &Policy, key: Key, series: &[Series]) -> Vec<String> {
        let labels: BTreeSet<String> = series
            .iter()
            .flat_map(|series| series.labels.keys())
            .filter(|name| *name != "__name__")
            .cloned()
            .collect();
        let (user, client_id) = (&self.profile.user_label, &self.profile.client_id_label);
        let mut gatherer = rates::Gatherer::new(Arc::clone(&self.profile), Duration::ZERO);
        series.iter().for_each(|series| gatherer.add(series));
        let (readings, faults) = gatherer.finish();
        let mut messages: Vec<String> = faults.into_iter().map(|fault| format!("{key}: {fault}")).collect();
        if !labels.contains(user) && !labels.contains(client_id) {
            messages.push(format!(
                "{key}: labels of the series are {}; metrics.user_label and metrics.client_id_label say which hold the names",
                list(&labels)
            ));
            return messages;
        }
        let seen = |kind| readings.iter().any(|reading| Entity::of(kind, &reading.client).is_some());
        for (kind, name) in
            [(Kind::User, "user"), (Kind::ClientId, "client id"), (Kind::Pair, "user and client id")]
        {
            let rules = policy.rules.iter().filter(|rule| (rule.key, rule.entity) == (key, kind));
            let rules = list(rules.map(|rule| rule.name.as_str()));
            if !rules.is_empty() && !readings.is_empty() && !seen(kind) {
                messages.push(format!(
                    "{key}: no series names a {name}, which rules need ({rules}): brokers measure at the levels at which \
                     quotas exist; a sentinel of a rule can make a level measurable"
                ));
            }
        }
        // Without encoding nothing is decoded, and nobody is who the brokers think.
        if self.profile.names == Names::Plain
            && readings
                .iter()
                .any(|reading| reading.client.user.as_ref().is_some_and(|user| user.contains("%3D")))
        {
            messages.push(format!("{key}: users look URL-encoded, but metrics.names is plain"));
        }
        messages
    }

    /// Names that look like those of quota sensors, for whoever chose the wrong profile.
    async fn look_alikes(&self, limit: Duration) -> String {
        let now = self.clock.now_ms();
        let selector = format!("{{__name__=~\"{LOOKS_LIKE_ONE}\"}}");
        let asked = self.client.label_values("__name__", &selector, now - 3_600_000, now);
        let names = match tokio::time::timeout(limit, asked).await {
            Ok(Ok(answer)) => answer.value,
            Ok(Err(error)) => {
                return format!("cannot look for names that are like it: {}", super::chain(&error));
            }
            Err(_) => return format!("cannot look for names that are like it within {limit:?}"),
        };
        let mangled = |name: &&String| name.contains("client_id_") || name.contains("_user_");
        let listed = list(&names);
        if names.iter().any(|name| mangled(&name)) {
            return format!(
                "the exporter's rules write users and client ids into the names of the metrics ({listed}): put the rules of \
                 deploy/jmx-exporter/kafka.yml before its own"
            );
        }
        if names.is_empty() {
            return "no metric has a name like it: either brokers keep no sensors, because no quota of that kind exists \
                    (a sentinel of a rule can change that), or the exporter has no rule for them \
                    (deploy/jmx-exporter/kafka.yml has)"
                .to_owned();
        }
        format!("metrics with names like it: {listed}; metrics.profile may be another")
    }
}

/// Some of them, in order, each once.
fn list<T: Into<String>>(names: impl IntoIterator<Item = T>) -> String {
    let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
    let mut text = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        text.push_str(&format!(" and {} more", names.len() - LISTED));
    }
    text
}
