//! What the metrics say, from Prometheus or any server with its HTTP API.
//!
//! Rates are read as raw samples: an instant query with a range selector (`…byte_rate{…}[45s]`) answers with every sample
//! and the time at which the broker was scraped, so that the latest rate, its age and the peak come in one round trip. An
//! instant vector would hide up to five minutes of age.
//!
//! Whatever cannot be read, or only in part, is absent and told as a fault: it is unknown, never zero. Queries are
//! independent: one that fails takes nothing else with it.

mod baseline;
mod measure;
mod names;
mod rates;
mod self_check;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daemon_kit::clock::Clock;
use daemon_kit::prom::{Client, Error, Series};
use quota_enforcer_core::policy::{Evidence, Measure, Policy};
use quota_enforcer_core::quota::Key;
use quota_enforcer_core::usage::Usage;
use tokio::task::JoinSet;
use tracing::{Instrument as _, info_span};

use crate::ports::{Metrics, Observed};
use crate::spec::Settings;
use crate::spec::profile::Profile;
use baseline::Baselines;
use rates::Gatherer;

/// See the module.
#[derive(Debug)]
pub struct Prometheus {
    client: Client,
    profile: Arc<Profile>,
    clock: Arc<dyn Clock>,
    baselines: Baselines,
}

/// What a query gave.
enum Got {
    Rates(Gatherer),
    Series(Vec<Series>),
}

/// What a query is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Usage(Key),
    Scraped,
    Burns,
    /// The rule of a query measure, by its place in the policy.
    Answers(usize),
}

impl Prometheus {
    /// Reads the files with credentials. No connection is made.
    ///
    /// # Errors
    /// Options that cannot be used, and files that cannot be read.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(settings.prometheus.options()?)?,
            profile: Arc::new(settings.profile.clone()),
            clock,
            baselines: Baselines::new(settings.baseline),
        })
    }

    /// Makes the baselines that the policy's rules need and that are due. Weeks of samples take longer than a tick may:
    /// call it now and then from a task of its own. It returns what could not be made; what was made before stays in use for
    /// a while.
    pub async fn refresh_baselines(&self, policy: &Policy) -> Vec<String> {
        self.baselines.refresh(&self.client, &self.profile, &*self.clock, policy).await
    }

    async fn ask(client: &Client, query: &str, limit: Duration) -> Result<Vec<Series>, String> {
        let mut all = Vec::new();
        Self::ask_each(client, query, limit, |series| all.push(series)).await?;
        Ok(all)
    }

    /// On an error, what was handed over is to be thrown away.
    async fn ask_each(
        client: &Client,
        query: &str,
        limit: Duration,
        each: impl FnMut(Series) + Send,
    ) -> Result<(), String> {
        let answer = tokio::time::timeout(limit, client.instant_each(query, None, each))
            .await
            .map_err(|_| format!("{} did not answer within {limit:?}", client.url()))?
            .map_err(|error| chain(&error))?;
        // Notes on the query itself are no sign of missing data.
        match answer.warnings.into_iter().find(|warning| !warning.starts_with("PromQL ")) {
            Some(warning) => Err(format!("the answer may be partial: {warning}")),
            None => Ok(()),
        }
    }

    async fn gather(
        client: &Client,
        query: &str,
        limit: Duration,
        mut gatherer: Gatherer,
    ) -> Result<Gatherer, String> {
        Self::ask_each(client, query, limit, |series| gatherer.add(&series)).await?;
        Ok(gatherer)
    }

    /// Everything that the rules need, but for the baselines.
    fn queries(&self, policy: &Policy) -> Vec<(Purpose, String)> {
        let look_back = look_back(&policy.evidence);
        let mut queries = vec![(Purpose::Scraped, ranged(&self.profile.scraped.selector, look_back))];
        let keys: BTreeSet<Key> = policy.rules.iter().map(|rule| rule.key).collect();
        for key in keys {
            if let Some(selector) = self.profile.series.get(&key) {
                queries.push((Purpose::Usage(key), ranged(selector, look_back)));
            }
        }
        for (at, rule) in policy.rules.iter().enumerate() {
            if let Measure::Query(query) = &rule.measure {
                queries.push((Purpose::Answers(at), query.clone()));
            }
        }
        queries.extend(measure::burns_query(policy).map(|query| (Purpose::Burns, query)));
        queries
    }

    fn take(&self, policy: &Policy, purpose: &Purpose, got: Got, observed: &mut Observed) {
        match (purpose, got) {
            (Purpose::Usage(key), Got::Rates(gatherer)) => {
                let (readings, faults) = gatherer.finish();
                observed.faults.extend(faults.into_iter().map(|fault| format!("{key}: {fault}")));
                // Which brokers were scraped is filled in when all answers are there.
                observed.usage.insert(*key, Usage { readings, ..Usage::default() });
            }
            (Purpose::Burns, Got::Series(series)) => observed.burns = measure::burns(&series),
            (Purpose::Answers(at), Got::Series(series)) => {
                let Some(rule) = policy.rules.get(*at) else { return };
                let (answers, faults) = measure::answers(&self.profile, rule.entity, &series);
                observed.faults.extend(faults.map(|fault| format!("query of rule {}: {fault}", rule.name)));
                observed.answers.insert(rule.name.clone(), answers);
            }
            _ => {}
        }
    }
}

#[async_trait]
impl Metrics for Prometheus {
    async fn observe(&self, policy: &Policy, limit: Duration) -> Observed {
        let mut observed = Observed::default();
        let mut asking = JoinSet::new();
        for (purpose, query) in self.queries(policy) {
            let client = self.client.clone();
            let gatherer = matches!(purpose, Purpose::Usage(_))
                .then(|| Gatherer::new(Arc::clone(&self.profile), peak_window(&policy.evidence)));
            let span = info_span!("query", purpose = ?purpose);
            let ask = async move {
                let got = match gatherer {
                    Some(gatherer) => Self::gather(&client, &query, limit, gatherer).await.map(Got::Rates),
                    None => Self::ask(&client, &query, limit).await.map(Got::Series),
                };
                (purpose, got)
            };
            asking.spawn(ask.instrument(span));
        }
        let mut scraped = BTreeMap::new();
        while let Some(joined) = asking.join_next().await {
            match joined {
                Ok((Purpose::Scraped, Ok(Got::Series(series)))) => {
                    let (last, fault) = rates::scraped(&self.profile, &series);
                    scraped = last;
                    observed.faults.extend(fault);
                }
                Ok((purpose, Ok(got))) => self.take(policy, &purpose, got, &mut observed),
                Ok((purpose, Err(why))) => observed.faults.push(format!("{}: {why}", what(policy, &purpose))),
                Err(error) => observed.faults.push(format!("a query of the metrics ended: {error}")),
            }
        }
        for usage in observed.usage.values_mut() {
            usage.scraped.clone_from(&scraped);
        }
        let (baselines, faults) = self.baselines.of(policy, &*self.clock);
        observed.baselines = baselines;
        observed.faults.extend(faults);
        observed.faults.sort();
        observed
    }
}

/// What cannot be read when the query for it fails.
fn what(policy: &Policy, purpose: &Purpose) -> String {
    match purpose {
        Purpose::Usage(key) => format!("cannot read the rates of {key}"),
        Purpose::Scraped => "cannot read which brokers were scraped".to_owned(),
        Purpose::Burns => "cannot read the burn rates of SLOs".to_owned(),
        Purpose::Answers(at) => {
            let name = policy.rules.get(*at).map_or("", |rule| rule.name.as_str());
            format!("cannot read the query of rule {name}")
        }
    }
}

/// The error with its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn ranged(selector: &str, back: Duration) -> String {
    format!("{selector}[{}ms]", back.as_millis())
}

/// Readings that are too old are still to be seen as such, not as none.
fn look_back(evidence: &Evidence) -> Duration {
    (evidence.max_age * 2).max(peak_window(evidence))
}

/// How far before its latest sample a series' peak is looked for: what a broker's sensor can still hold (11 samples of one
/// second by default), and at least one further scrape. Farther back lies what an earlier cut already took care of.
fn peak_window(evidence: &Evidence) -> Duration {
    Duration::from_secs(11).max(evidence.scrape_interval * 2)
}
