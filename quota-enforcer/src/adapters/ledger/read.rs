//! Reading a topic from its beginning to its end.

use std::sync::Arc;
use std::time::Duration;

use daemon_kit::clock::Clock;
use quota_enforcer_core::ledger::{Change, Ledger};
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::{Fault, PARTITION, Place, blocking, client, fault};

/// The shortest time without a record after which reading is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) offset: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
}

/// Reads one topic; what was not committed is left out. Everything here blocks, its end too.
pub(super) struct Reader {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    clock: Arc<dyn Clock>,
    patience: Duration,
    /// Of the first record that is there.
    pub(super) low: i64,
    /// After the last record that was committed when the reader was opened, or an open transaction began.
    pub(super) end: i64,
}

impl Reader {
    /// Opens a topic and asks for its extent. [`Reader::seek`] begins to read.
    pub(super) fn open(place: &Place, topic: &str) -> Result<Self, Fault> {
        let what = || format!("read topic {topic}");
        let consumer: BaseConsumer<Quiet> =
            client::reader(place).create_with_context(Quiet).map_err(Fault::kafka(what()))?;
        let patience = place.settings.timeout.max(PATIENCE);
        let (low, end) =
            consumer.fetch_watermarks(topic, PARTITION, patience).map_err(Fault::kafka(what()))?;
        let clock = Arc::clone(&place.clock);
        Ok(Self { consumer, topic: topic.to_owned(), clock, patience, low, end })
    }

    /// Goes on from this offset.
    pub(super) fn seek(&self, offset: i64) -> Result<(), Fault> {
        let what = || format!("read topic {}", self.topic);
        let mut partitions = TopicPartitionList::new();
        partitions
            .add_partition_offset(&self.topic, PARTITION, Offset::Offset(offset))
            .map_err(Fault::kafka(what()))?;
        self.consumer.assign(&partitions).map_err(Fault::kafka(what()))
    }

    /// The next record; `None` at the end. After the end it waits for the next one.
    pub(super) fn next(&self) -> Result<Option<Record>, Fault> {
        let what = || format!("read topic {}", self.topic);
        let late = || Fault::Late(format!("topic {}: nothing was read for {:?}", self.topic, self.patience));
        let deadline = self.clock.monotonic() + self.patience;
        loop {
            let left = deadline.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return Err(late());
            }
            match self.consumer.poll(left) {
                Some(Ok(message)) => {
                    return Ok(Some(Record {
                        offset: message.offset(),
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                    }));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
                Some(Err(source)) if passing(&source) => {
                    tracing::debug!(topic = self.topic, %source, "reading goes on")
                }
                Some(Err(source)) => return Err(Fault::Kafka { what: what(), source }),
                None => return Err(late()),
            }
        }
    }
}

/// The end of a topic is no trouble, and [`Reader::next`] says what is.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "while reading");
    }
}

impl ConsumerContext for Quiet {}

/// librdkafka tells of these and tries again by itself.
fn passing(error: &KafkaError) -> bool {
    let Some(code) = error.rdkafka_error_code() else { return false };
    !fault::refused(code)
        && matches!(
            code,
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::NotCoordinator
        )
}

/// The facts of a ledger while it is read.
pub(super) struct Facts {
    topic: String,
    pub(super) ledger: Ledger,
    /// Of the last record; -1 before the first.
    pub(super) last: i64,
}

impl Facts {
    pub(super) fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned(), ledger: Ledger::default(), last: -1 }
    }

    /// Takes a record over and says what it changed.
    pub(super) fn take(&mut self, record: &Record) -> Result<Change, Fault> {
        // What is no text, or has no key, is no fact, which decoding says.
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
        let value = record.value.as_deref().map(String::from_utf8_lossy);
        let change = Change::decode(&key, value.as_deref()).map_err(|source| Fault::Record {
            topic: self.topic.clone(),
            offset: record.offset,
            source,
        })?;
        self.last = record.offset;
        self.ledger.apply(change.clone());
        Ok(change)
    }

    /// Reads to the end.
    pub(super) fn read(&mut self, reader: &Reader) -> Result<(), Fault> {
        while let Some(record) = reader.next()? {
            self.take(&record)?;
        }
        Ok(())
    }
}

/// The whole ledger as it is committed now, for whoever only looks. Joins no group and fences nobody.
///
/// # Errors
/// When the topic cannot be read, or a record is not understood.
pub async fn read_ledger(place: &Place) -> Result<Ledger, Fault> {
    let place = place.clone();
    blocking(move || read_facts(&place).map(|facts| facts.ledger)).await
}

pub(super) fn read_facts(place: &Place) -> Result<Facts, Fault> {
    let reader = Reader::open(place, &place.settings.ledger.topic)?;
    reader.seek(reader.low)?;
    let mut facts = Facts::new(&place.settings.ledger.topic);
    facts.read(&reader)?;
    Ok(facts)
}
