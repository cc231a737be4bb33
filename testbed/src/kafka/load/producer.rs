//! A producer over one or many connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Statistics};
use tokio::time::Instant;

use super::config;
use super::pace::Pace;
use super::tally::{Acknowledged, Reading, Tally, Totals};

/// How long a connection waits before it tries again.
const TURN: Duration = Duration::from_millis(10);
/// How long a connection with nothing to send waits before it looks again at its rate and whether it is to stop.
const REST: Duration = Duration::from_millis(50);
/// How long a topic may take to become known to a client.
const METADATA_LIMIT: Duration = Duration::from_secs(15);

/// The ways of Kafka's Java producer, with two exceptions. Its buffer is one that a test can fill: librdkafka's own default
/// is a gibibyte, and records that wait in it expire. And it is not idempotent: an idempotent librdkafka producer with five
/// records in flight and more to send does not wait for the answer, it spins on a processor for each broker, which a
/// throttle makes it do for seconds. So a retry may write a record twice, but an acknowledged one is there.
const BASE: [(&str, &str); 7] = [
    ("acks", "all"),
    ("max.in.flight.requests.per.connection", "5"),
    ("linger.ms", "5"),
    ("delivery.timeout.ms", "120000"),
    ("socket.timeout.ms", "30000"),
    ("queue.buffering.max.kbytes", "512"),
    ("statistics.interval.ms", "1000"),
];

/// What a producer does.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerOptions {
    /// How it comes in, from `Cluster::client_properties`; further properties of librdkafka may be added.
    pub properties: BTreeMap<String, String>,
    /// Client id.
    pub client_id: String,
    /// Topic; records go to its partitions in turn.
    pub topic: String,
    /// Bytes of records per second, all connections together; zero is idle.
    pub rate: u32,
    /// Bytes of a record's value.
    pub record_size: usize,
    /// How many clients of this user and client id; each has one connection to each broker.
    pub connections: usize,
}

impl ProducerOptions {
    /// One connection, 50 kB/s in records of 1 kB.
    #[must_use]
    pub fn new(properties: BTreeMap<String, String>, client_id: &str, topic: &str) -> Self {
        Self {
            properties,
            client_id: client_id.to_owned(),
            topic: topic.to_owned(),
            rate: 50_000,
            record_size: 1_000,
            connections: 1,
        }
    }
}

/// A running producer: one thread for each connection. It never drops a record: while its buffer is full it waits. Dropping
/// it gives up what is outstanding.
#[derive(Debug)]
pub struct Producer {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// How a producer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What became of its records.
    pub totals: Totals,
    /// Every acknowledged one.
    pub acknowledged: Vec<Acknowledged>,
}

/// What threads and owner share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: ProducerOptions,
    pub(super) user: String,
    tally: Mutex<Tally>,
    /// Bits of an f64: bytes per second of one connection.
    rate: AtomicU64,
    stopped: AtomicBool,
    /// How long what is outstanding may take after the stop, in milliseconds.
    flush_limit: AtomicU64,
}

impl Shared {
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rate(&self) -> f64 {
        f64::from_bits(self.rate.load(Ordering::Relaxed))
    }

    fn set_rate(&self, rate: u32) {
        let connections = u32::try_from(self.options.connections.max(1)).unwrap_or(u32::MAX);
        self.rate.store((f64::from(rate) / f64::from(connections)).to_bits(), Ordering::Relaxed);
    }
}

impl Producer {
    /// Starts it.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn start(options: ProducerOptions) -> Result<Self> {
        let user = options.properties.get("sasl.username").cloned().unwrap_or_default();
        let rate = options.rate;
        let shared = Arc::new(Shared {
            user,
            tally: Mutex::new(Tally::new(options.connections, Instant::now())),
            rate: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            flush_limit: AtomicU64::new(0),
            options,
        });
        shared.set_rate(rate);
        let mut config = config(&BASE, &shared.options.properties);
        config.set("client.id", &shared.options.client_id);
        let mut producer = Self { shared, threads: Vec::new() };
        for connection in 0..producer.shared.options.connections {
            let context = Fate { connection, shared: Arc::clone(&producer.shared) };
            let client =
                ThreadedProducer::from_config_and_context(&config, context).context("make a producer")?;
            let shared = Arc::clone(&producer.shared);
            let thread = Builder::new().name(format!("{}-{connection}", shared.options.client_id));
            producer.threads.push(thread.spawn(move || run(&client, connection, &shared))?);
        }
        Ok(producer)
    }

    /// Changes the rate: bytes of records per second, all connections together; zero is idle.
    pub fn set_rate(&self, rate: u32) {
        self.shared.set_rate(rate);
    }

    /// What happened since the last call.
    pub fn read(&self) -> Reading {
        self.shared.tally().read(Instant::now())
    }

    /// What happened since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.shared.tally().totals()
    }

    /// Every record acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.shared.tally().records()
    }

    /// Sends no more, waits up to `limit` for what is outstanding, and gives up the rest.
    ///
    /// # Errors
    /// When one of its threads has panicked.
    pub async fn stop(mut self, limit: Duration) -> Result<Outcome> {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.shared.flush_limit.store(limit, Ordering::Relaxed);
        self.shared.stopped.store(true, Ordering::Release);
        let threads = std::mem::take(&mut self.threads);
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok()));
        anyhow::ensure!(joined.await?, "a thread of the producer panicked");
        Ok(Outcome { totals: self.totals(), acknowledged: self.acknowledged() })
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // A panic was printed when it happened.
            drop(thread.join());
        }
    }
}

/// What a record was when it was handed over.
struct Sent {
    sequence: u64,
    at: Instant,
}

/// Hears what becomes of the records of one connection.
struct Fate {
    connection: usize,
    shared: Arc<Shared>,
}

impl ClientContext for Fate {
    fn stats(&self, statistics: Statistics) {
        let throttles = statistics.brokers.values().filter_map(|broker| broker.throttle.as_ref());
        let longest = throttles.map(|window| window.max).max().unwrap_or_default();
        self.shared.tally().throttled(Duration::from_millis(u64::try_from(longest).unwrap_or_default()));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.shared.tally().error(format!("{error}: {reason}"));
    }
}

impl ProducerContext for Fate {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let now = Instant::now();
        let mut tally = self.shared.tally();
        match result {
            Ok(message) => {
                let record = Acknowledged {
                    connection: self.connection,
                    sequence: sent.sequence,
                    partition: message.partition(),
                    offset: message.offset(),
                };
                tally.acknowledged(record, message.payload_len(), sent.at, now);
            }
            Err((error, message)) => {
                let reason =
                    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| format!("{code:?}"));
                tally.failed(self.connection, message.partition(), reason, now);
            }
        }
    }
}

fn run(client: &ThreadedProducer<Fate>, connection: usize, shared: &Shared) {
    if let Some(partitions) = partitions(client, shared) {
        send(client, connection, shared, partitions);
    }
    let limit = Duration::from_millis(shared.flush_limit.load(Ordering::Relaxed));
    if client.flush(limit).is_err() {
        client.purge(PurgeConfig::default().queue().inflight());
        // Purged records come back as failed ones.
        client.flush(TURN * 10).ok();
    }
}

/// How many partitions the topic has; `None` when it was stopped before it could know.
fn partitions(client: &ThreadedProducer<Fate>, shared: &Shared) -> Option<i32> {
    while !shared.stopped.load(Ordering::Acquire) {
        match client.client().fetch_metadata(Some(&shared.options.topic), METADATA_LIMIT) {
            Ok(metadata) => {
                let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
                if count > 0 {
                    return i32::try_from(count).ok();
                }
                shared.tally().error(format!("topic {} has no partitions", shared.options.topic));
            }
            Err(error) => shared.tally().error(error.to_string()),
        }
        thread::sleep(TURN * 10);
    }
    None
}

fn send(client: &ThreadedProducer<Fate>, connection: usize, shared: &Shared, partitions: i32) {
    let options = &shared.options;
    let mut pace = Pace::new(Instant::now());
    let mut partition = i32::try_from(connection).unwrap_or_default() % partitions;
    let mut sequence = 0;
    while !shared.stopped.load(Ordering::Acquire) {
        let rate = shared.rate();
        let now = Instant::now();
        let wait = if rate > 0.0 { pace.wait(now) } else { REST };
        if !wait.is_zero() {
            thread::sleep(wait.min(REST));
            continue;
        }
        let value = value(&options.client_id, connection, sequence, options.record_size);
        let sent = Box::new(Sent { sequence, at: now });
        let record = BaseRecord::<(), [u8], _>::with_opaque_to(&options.topic, sent);
        // Held over the call: an acknowledgement must find its record sent.
        let mut tally = shared.tally();
        match client.send(record.partition(partition).payload(value.as_bytes())) {
            Ok(()) => {
                tally.blocked(connection, false, now);
                tally.sent(connection, partition, now);
                pace.sent(now, options.record_size, rate);
                sequence += 1;
                partition = (partition + 1) % partitions;
                continue;
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                tally.blocked(connection, true, now);
            }
            Err((error, _)) => tally.error(error.to_string()),
        }
        drop(tally);
        thread::sleep(TURN);
    }
    shared.tally().blocked(connection, false, Instant::now());
}

/// The name of a record, by which a consumer knows it again.
pub(super) fn name(client_id: &str, connection: usize, sequence: u64) -> String {
    format!("{client_id}/{connection}/{sequence};")
}

/// A record's value: its name, filled up to its size.
fn value(client_id: &str, connection: usize, sequence: u64, size: usize) -> String {
    let mut value = name(client_id, connection, sequence);
    value.extend(std::iter::repeat_n('.', size.saturating_sub(value.len())));
    value
}
