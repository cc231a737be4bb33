//! One transaction at a time.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::{Fault, PARTITION, Place, client};

/// How long fencing may take: the transaction that the old leader left open is ended first, and the first one ever waits
/// for Kafka to create its own topic.
const FENCE: Duration = Duration::from_secs(30);

/// A record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) key: Option<String>,
    /// `None` removes what the key said.
    pub(super) value: Option<String>,
}

/// Why a transaction was not committed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// It was aborted: nothing of it is there, and the next one may work.
    #[error("{0}")]
    Aborted(String),
    /// Another producer has taken over.
    #[error("another process leads")]
    Fenced,
    /// It may or may not be there.
    #[error("{0}")]
    Uncertain(String),
    /// A topic is not the one that was written before.
    #[error("{0}")]
    Moved(String),
}

/// Writes to ledger and audit as the one producer that may. Everything here blocks.
pub(super) struct Writer {
    producer: ThreadedProducer<Deliveries>,
    timeout: Duration,
    /// The last record of each topic.
    last: HashMap<String, i64>,
    /// Records that were sent so far: the next one's number.
    sent: usize,
}

impl Writer {
    /// Fences every earlier writer and ends what it left open.
    pub(super) fn fence(place: &Place) -> Result<Self, Fault> {
        let producer: ThreadedProducer<Deliveries> = client::writer(place)
            .create_with_context(Deliveries::default())
            .map_err(Fault::kafka("start the ledger's producer"))?;
        producer.init_transactions(FENCE).map_err(Fault::kafka("fence the leader before"))?;
        Ok(Self { producer, timeout: place.settings.timeout, last: HashMap::new(), sent: 0 })
    }

    /// Says what the last record of a topic is, as it was read.
    pub(super) fn read_up_to(&mut self, topic: &str, offset: i64) {
        self.last.insert(topic.to_owned(), offset);
    }

    /// The last record of a topic.
    pub(super) fn last(&self, topic: &str) -> Option<i64> {
        self.last.get(topic).copied()
    }

    /// Writes all of it or nothing.
    pub(super) fn transact(&mut self, records: &[Outgoing]) -> Result<(), Broken> {
        self.producer.begin_transaction().map_err(|error| self.meaning(&error))?;
        let result = self.send(records).and_then(|written| self.commit().map(|()| written));
        match result {
            Ok(written) => {
                self.last.extend(written);
                Ok(())
            }
            Err(why @ (Broken::Aborted(_) | Broken::Moved(_))) => Err(self.abort(why)),
            Err(why) => Err(why),
        }
    }

    /// Commits what was sent. When there is no answer it is asked once more, which changes nothing and often tells.
    fn commit(&self) -> Result<(), Broken> {
        let again = |error: KafkaError| match &error {
            KafkaError::Transaction(reason) if reason.is_retriable() => {
                self.producer.commit_transaction(self.timeout)
            }
            _ => Err(error),
        };
        let committed = self.producer.commit_transaction(self.timeout).or_else(again);
        committed.map_err(|error| self.meaning(&error))
    }

    /// Sends and waits until the brokers have everything; where the last record of each topic went.
    fn send(&mut self, records: &[Outgoing]) -> Result<HashMap<String, i64>, Broken> {
        let first = self.sent;
        for record in records {
            let mut outgoing =
                BaseRecord::<str, str, usize>::with_opaque_to(&record.topic, self.sent).partition(PARTITION);
            self.sent += 1;
            outgoing.key = record.key.as_deref();
            outgoing.payload = record.value.as_deref();
            self.producer.send(outgoing).map_err(|(error, _)| Broken::Aborted(error.to_string()))?;
        }
        // Not by flushing, which looks only every tenth of a second whether it is done.
        let delivered = self.producer.context().wait(first..self.sent, self.timeout);
        let mut written = HashMap::new();
        for (number, record) in (first..).zip(records) {
            let offset = match delivered.get(&number) {
                Some(Ok(offset)) if *offset >= 0 => *offset,
                Some(Ok(_)) => return Err(Broken::Aborted(format!("topic {}: no offset", record.topic))),
                Some(Err(error)) => return Err(Broken::Aborted(format!("topic {}: {error}", record.topic))),
                None => return Err(Broken::Aborted(format!("topic {}: no answer", record.topic))),
            };
            let last = written.get(&record.topic).or_else(|| self.last.get(&record.topic));
            if let Some(last) = last.filter(|last| offset <= **last) {
                let topic = &record.topic;
                return Err(Broken::Moved(format!(
                    "topic {topic} was emptied or created anew: what follows record {last} became record {offset}"
                )));
            }
            written.insert(record.topic.clone(), offset);
        }
        Ok(written)
    }

    /// Takes back what was sent. What is told is why, unless that fails.
    fn abort(&self, why: Broken) -> Broken {
        let Err(error) = self.producer.abort_transaction(self.timeout) else { return why };
        match (self.meaning(&error), why) {
            (Broken::Fenced, _) => Broken::Fenced,
            (_, Broken::Moved(text)) => Broken::Moved(text),
            (_, why) => Broken::Uncertain(format!("{why}, and it could not be aborted: {error}")),
        }
    }

    /// What an error of a transaction call means. [`Broken::Aborted`] still has to be aborted.
    fn meaning(&self, error: &KafkaError) -> Broken {
        let fatal = self.producer.client().fatal_error();
        if fenced(error.rdkafka_error_code()) || fenced(fatal.as_ref().map(|(code, _)| *code)) {
            return Broken::Fenced;
        }
        match (fatal, error) {
            (Some((code, reason)), _) => Broken::Uncertain(format!("{code}: {reason}")),
            (None, KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                Broken::Aborted(error.to_string())
            }
            (None, _) => Broken::Uncertain(error.to_string()),
        }
    }
}

fn fenced(code: Option<RDKafkaErrorCode>) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced, TransactionCoordinatorFenced};
    matches!(code, Some(Fenced | InvalidProducerEpoch | ProducerFenced | TransactionCoordinatorFenced))
}

/// What became of records, by their number.
type Fates = HashMap<usize, Result<i64, KafkaError>>;

/// What became of the records of the transaction under way, and late news of those before it.
#[derive(Default)]
struct Deliveries {
    fates: Mutex<Fates>,
    news: Condvar,
}

impl Deliveries {
    /// Waits until it is known of all of these records; of what is not there in the end nothing is known.
    fn wait(&self, numbers: Range<usize>, limit: Duration) -> Fates {
        let fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        let open = |fates: &mut Fates| numbers.clone().any(|number| !fates.contains_key(&number));
        let waited = self.news.wait_timeout_while(fates, limit, open);
        let (mut fates, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *fates)
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        self.fates.lock().unwrap_or_else(PoisonError::into_inner).insert(number, outcome);
        self.news.notify_one();
    }
}
