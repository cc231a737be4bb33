//! A consumer that remembers what it has read.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::tally::Acknowledged;
use super::{config, producer};
use crate::wait;

const TURN: Duration = Duration::from_millis(50);
const METADATA_LIMIT: Duration = Duration::from_secs(15);

const BASE: [(&str, &str); 4] = [
    ("enable.auto.commit", "false"),
    ("auto.offset.reset", "earliest"),
    ("enable.partition.eof", "true"),
    ("fetch.wait.max.ms", "100"),
];

/// What a consumer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// How it comes in, from `Cluster::client_properties`; further properties of librdkafka may be added.
    pub properties: BTreeMap<String, String>,
    /// Client id.
    pub client_id: String,
    /// Topic, read from the beginning.
    pub topic: String,
    /// Consumer group to join; without one it reads every partition by itself.
    pub group: Option<String>,
    /// Starts over at the end of a partition: load for as long as it runs.
    pub again: bool,
}

impl ConsumerOptions {
    /// Reads the topic without a group, once and what comes after.
    #[must_use]
    pub fn new(properties: BTreeMap<String, String>, client_id: &str, topic: &str) -> Self {
        let (client_id, topic) = (client_id.to_owned(), topic.to_owned());
        Self { properties, client_id, topic, group: None, again: false }
    }
}

/// A running consumer: one thread. Dropping it ends it.
#[derive(Debug)]
pub struct Consumer {
    read: Arc<Mutex<Read>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What came.
#[derive(Debug, Default)]
struct Read {
    /// Name of the record at each partition and offset.
    names: HashMap<(i32, i64), Box<str>>,
    records: u64,
    bytes: u64,
    errors: BTreeMap<String, u64>,
}

impl Consumer {
    /// Starts it.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn start(options: ConsumerOptions) -> Result<Self> {
        let mut config = config(&BASE, &options.properties);
        config.set("client.id", &options.client_id);
        // Without one, the client hands out no records; it joins only the group that it subscribes for.
        config.set("group.id", options.group.as_ref().unwrap_or(&options.client_id));
        let client: BaseConsumer = config.create().context("make a consumer")?;
        let read = Arc::<Mutex<Read>>::default();
        let stopped = Arc::<AtomicBool>::default();
        let (shared, end) = (Arc::clone(&read), Arc::clone(&stopped));
        let thread = Builder::new().name(options.client_id.clone());
        let thread = thread.spawn(move || run(&client, &options, &shared, &end))?;
        Ok(Self { read, stopped, thread: Some(thread) })
    }

    /// Records read so far; what was read again counts again.
    #[must_use]
    pub fn records(&self) -> u64 {
        lock(&self.read).records
    }

    /// Bytes of their values.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        lock(&self.read).bytes
    }

    /// What went wrong, and how often.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<String, u64> {
        lock(&self.read).errors.clone()
    }

    /// Which acknowledged records of a producer with this client id were not read at the place they were acknowledged for.
    #[must_use]
    pub fn missing(&self, client_id: &str, acknowledged: &[Acknowledged]) -> Vec<Acknowledged> {
        let read = lock(&self.read);
        let is_there = |record: &&Acknowledged| {
            let name = producer::name(client_id, record.connection, record.sequence);
            read.names.get(&(record.partition, record.offset)).is_some_and(|found| **found == *name)
        };
        acknowledged.iter().filter(|record| !is_there(record)).copied().collect()
    }

    /// Waits until it has read every acknowledged record of a producer.
    ///
    /// # Errors
    /// When some are missing at the deadline; the message counts them and names the first.
    pub async fn wait_for(
        &self,
        client_id: &str,
        acknowledged: &[Acknowledged],
        limit: Duration,
    ) -> Result<()> {
        let complete = || async { Ok(self.missing(client_id, acknowledged).is_empty().then_some(())) };
        if let Err(error) = wait::until("every acknowledged record", limit, complete).await {
            let missing = self.missing(client_id, acknowledged);
            let (count, all, first) = (missing.len(), acknowledged.len(), missing.first());
            let errors = self.errors();
            bail!(
                "{count} of {all} records of {client_id} are missing, first {first:?}: {error}; {errors:?}"
            );
        }
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened.
            drop(thread.join());
        }
    }
}

fn lock(read: &Mutex<Read>) -> MutexGuard<'_, Read> {
    read.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(client: &BaseConsumer, options: &ConsumerOptions, read: &Mutex<Read>, stopped: &AtomicBool) {
    let failed = |error: &KafkaError| *lock(read).errors.entry(error.to_string()).or_default() += 1;
    while let Err(error) = begin(client, options) {
        failed(&error);
        if stopped.load(Ordering::Acquire) {
            return;
        }
    }
    while !stopped.load(Ordering::Acquire) {
        match client.poll(TURN) {
            None => {}
            Some(Ok(message)) => {
                let value = message.payload().unwrap_or_default();
                let end = value.iter().position(|byte| *byte == b';').map_or(0, |end| end + 1);
                let name = String::from_utf8_lossy(value.get(..end).unwrap_or_default());
                let mut read = lock(read);
                read.records += 1;
                read.bytes += u64::try_from(value.len()).unwrap_or_default();
                read.names.insert((message.partition(), message.offset()), name.into());
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if options.again
                    && let Err(error) =
                        client.seek(&options.topic, partition, Offset::Beginning, METADATA_LIMIT)
                {
                    failed(&error);
                }
            }
            Some(Err(error)) => failed(&error),
        }
    }
}

/// Joins the group, or takes every partition.
fn begin(client: &BaseConsumer, options: &ConsumerOptions) -> Result<(), KafkaError> {
    if options.group.is_some() {
        return client.subscribe(&[&options.topic]);
    }
    let metadata = client.fetch_metadata(Some(&options.topic), METADATA_LIMIT)?;
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        list.add_partition_offset(&options.topic, partition.id(), Offset::Beginning)?;
    }
    client.assign(&list)
}
