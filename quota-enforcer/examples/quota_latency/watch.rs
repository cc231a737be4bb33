//! Those who watch beside the enforcer, over connections of their own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use daemon_kit::clock::Clock;
use kafka_admin::{Client, Entity, EntityPart, Filter};
use quota_enforcer::ports::BrokerId;
use quota_enforcer_core::decide::{Memory, Observation, State, decide};
use quota_enforcer_core::entity::{self, Part};
use quota_enforcer_core::ledger::Ledger;
use quota_enforcer_core::policy::{Mode, Policy};
use quota_enforcer_core::quota::{Key, Snapshot};
use quota_enforcer_core::step::Window;
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::{Reading, Usage};
use serde_json::Value;
use testbed::Prometheus;
use tokio::time::sleep;

use crate::board::Board;

/// Between two looks.
const POLL: Duration = Duration::from_millis(10);

/// Sees when Prometheus has the samples of a client.
pub(crate) struct Watcher {
    prometheus: Arc<Prometheus>,
    clock: Arc<dyn Clock>,
    board: Board,
    policy: Policy,
    brokers: BTreeMap<BrokerId, Window>,
}

impl Watcher {
    pub(crate) fn new(
        prometheus: Arc<Prometheus>,
        clock: Arc<dyn Clock>,
        board: Board,
        policy: &Policy,
        brokers: BTreeMap<BrokerId, Window>,
    ) -> Self {
        let mut policy = policy.clone();
        for rule in &mut policy.rules {
            rule.mode = Mode::Flag;
            rule.sentinel = None;
        }
        Self { prometheus, clock, board, policy, brokers }
    }

    /// The samples of these clients.
    async fn usage(&self, clients: &[String], now: Timestamp) -> Result<Usage> {
        let back = self.policy.evidence.max_age.as_millis();
        let query = format!(
            "kafka_server_quota_byte_rate{{resource=\"Produce\",client_id=~\"{}\"}}[{back}ms]",
            clients.join("|")
        );
        let answer = self.prometheus.client().get("/api/v1/query", &[("query", &query)]).await?;
        let series = answer.pointer("/data/result").and_then(Value::as_array).context("no result")?;
        let readings = series.iter().map(reading).collect::<Result<Vec<_>>>()?;
        Ok(Usage { readings, scraped: self.brokers.keys().map(|broker| (*broker, now)).collect() })
    }

    /// One more look at a client.
    fn count(&self, usage: Usage, memory: &mut Memory, now: Timestamp) -> Count {
        let observation = Observation {
            usage: BTreeMap::from([(Key::ProducerByteRate, usage)]),
            snapshot: Some(Snapshot::default()),
            brokers: self.brokers.clone(),
            ..Observation::default()
        };
        let outcome = decide(&self.policy, &observation, &Ledger::default(), memory, now);
        let any = |is: State| outcome.verdicts.iter().any(|verdict| verdict.state == is);
        match (any(State::Flagged), any(State::Over)) {
            (true, _) => Count::Confirmed,
            (false, true) => Count::Over,
            (false, false) => Count::Calm,
        }
    }
}

/// Notes every sample, and counts as the enforcer does but misses none: nobody reaches `k` of `n` earlier. A sample's time is
/// that of the question whose answer first had it.
pub(crate) async fn visible(watcher: Watcher) -> Result<Infallible> {
    let mut memories: BTreeMap<String, Memory> = BTreeMap::new();
    loop {
        sleep(POLL).await;
        let clients = watcher.board.awaited();
        if clients.is_empty() {
            continue;
        }
        let asked = watcher.clock.monotonic();
        let now = Timestamp(watcher.clock.now_ms());
        let usage = watcher.usage(&clients, now).await?;
        for (client, oldest) in oldest(&usage) {
            watcher.board.note(client, |run| {
                run.samples.entry(oldest).or_insert(asked);
            });
        }
        memories.retain(|client, _| clients.contains(client));
        for (client, usage) in by_client(usage) {
            let mut memory = memories.remove(&client).unwrap_or_default();
            match watcher.count(usage, &mut memory, now) {
                Count::Confirmed => watcher.board.note(&client, |run| {
                    run.unmissed.get_or_insert(asked);
                }),
                Count::Over => {}
                // Which sample is the next one follows from the one before. Nothing is before the first one that is over.
                Count::Calm => continue,
            }
            memories.insert(client, memory);
        }
    }
}

/// What the samples of a client came to.
enum Count {
    Confirmed,
    Over,
    Calm,
}

/// The usage of each client.
fn by_client(usage: Usage) -> BTreeMap<String, Usage> {
    let mut parts: BTreeMap<String, Usage> = BTreeMap::new();
    for reading in usage.readings {
        let Some(client) = reading.client.client_id.clone() else { continue };
        let part = parts.entry(client);
        part.or_insert_with(|| Usage { readings: Vec::new(), scraped: usage.scraped.clone() })
            .readings
            .push(reading);
    }
    parts
}

/// The oldest reading of each client.
fn oldest(usage: &Usage) -> BTreeMap<&str, Timestamp> {
    let mut oldest = BTreeMap::new();
    for reading in &usage.readings {
        let Some(client) = &reading.client.client_id else { continue };
        let at = oldest.entry(client.as_str()).or_insert(reading.at);
        *at = reading.at.min(*at);
    }
    oldest
}

/// The name in an entity of kind client id.
pub(crate) fn client_id(entity: &entity::Entity) -> Option<&str> {
    match entity.client_id_part() {
        Some(Part::Name(name)) => Some(name),
        _ => None,
    }
}

fn reading(series: &Value) -> Result<Reading> {
    let label = |name: &str| series.pointer(&format!("/metric/{name}")).and_then(Value::as_str);
    let samples = series.get("values").and_then(Value::as_array).context("no samples")?;
    let sample = |sample: &Value| -> Result<(f64, f64)> {
        let at = sample.get(0).and_then(Value::as_f64).context("no time")?;
        let value = sample.get(1).and_then(Value::as_str).context("no value")?;
        Ok((at, value.parse()?))
    };
    let samples = samples.iter().map(sample).collect::<Result<Vec<_>>>()?;
    let (at, rate) = samples.last().copied().context("no sample")?;
    #[allow(clippy::cast_possible_truncation, reason = "milliseconds of a date")]
    let at = Timestamp((at * 1_000.0).round() as i64);
    Ok(Reading {
        broker: label("broker").context("no broker")?.parse()?,
        client: entity::Client { user: None, client_id: label("client_id").map(str::to_owned) },
        rate,
        peak: samples.iter().map(|(_, rate)| *rate).fold(rate, f64::max),
        at,
    })
}

/// Waits until a broker tells a quota for this client; the time is that of its answer.
pub(crate) async fn live(
    admin: &Client,
    broker: BrokerId,
    client: &str,
    clock: &dyn Clock,
    board: &Board,
) -> Result<()> {
    let filter = Filter::exactly(&Entity::client_id(EntityPart::name(client)));
    loop {
        let entries = admin.describe_client_quotas_at(broker, &filter).await?;
        if entries.iter().any(|entry| entry.values.contains_key("producer_byte_rate")) {
            let at = clock.monotonic();
            board.note(client, |run| {
                run.live.insert(broker, at);
            });
            return Ok(());
        }
        sleep(POLL).await;
    }
}
