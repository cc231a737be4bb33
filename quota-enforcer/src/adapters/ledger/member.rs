//! This process in the consumer group.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::watch;

use super::{Fault, PARTITION, Place, client, fault};

/// How long a stop waits for the poll under way.
const POLL: Duration = Duration::from_millis(100);

/// What the group says of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It waits, or is not in yet.
    Waiting,
    /// The ledger is given to it, for the how-manieth time.
    Assigned(u64),
    /// It will not be let in, and why.
    Refused(KafkaError),
    /// It is out.
    Gone,
}

/// A member of the group: polls on a thread of its own, since the group takes silence for death.
pub(super) struct Member {
    consumer: Arc<BaseConsumer<Watcher>>,
    standing: watch::Receiver<Standing>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    ledger: String,
}

impl Member {
    /// Begins to join. Blocks for as long as a consumer takes to be made.
    pub(super) fn join(place: &Place) -> Result<Self, Fault> {
        let ledger = place.settings.ledger.topic.clone();
        let (sender, standing) = watch::channel(Standing::Waiting);
        let sender = Arc::new(sender);
        let watcher =
            Watcher { ledger: ledger.clone(), standing: Arc::clone(&sender), terms: AtomicU64::new(0) };
        let consumer: BaseConsumer<Watcher> = client::member(place)
            .create_with_context(watcher)
            .map_err(Fault::kafka("start the group's consumer"))?;
        consumer.subscribe(&[&ledger]).map_err(Fault::kafka("join the group"))?;
        let consumer = Arc::new(consumer);
        let stop = Arc::new(AtomicBool::new(false));
        let poll = {
            let (consumer, stop) = (Arc::clone(&consumer), Arc::clone(&stop));
            let out = Out(sender);
            move || poll(&consumer, &stop, &out.0)
        };
        let thread = std::thread::Builder::new()
            .name("ledger-group".to_owned())
            .spawn(poll)
            .map_err(|error| Fault::Died(format!("no thread for the group: {error}")))?;
        Ok(Self { consumer, standing, stop, thread: Some(thread), ledger })
    }

    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// What commits offsets for this member.
    pub(super) fn marker(&self) -> Marker {
        Marker { consumer: Arc::clone(&self.consumer), ledger: self.ledger.clone() }
    }

    /// Leaves the group, so that another member is given the ledger at once. Blocks.
    pub(super) fn leave(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the group died");
        }
    }
}

/// Without [`Member::leave`] the thread ends by itself, and the member leaves soon after.
impl Drop for Member {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Commits offsets for a member.
pub(super) struct Marker {
    consumer: Arc<BaseConsumer<Watcher>>,
    ledger: String,
}

impl Marker {
    /// Commits an offset of the ledger with a text beside it, as the member that the ledger is given to. Blocks.
    pub(super) fn mark(&self, offset: i64, text: &str) -> Result<(), Fault> {
        let what = "claim the ledger in the group";
        let mut partitions = TopicPartitionList::new();
        let mut element = partitions.add_partition(&self.ledger, PARTITION);
        element.set_offset(Offset::Offset(offset)).map_err(Fault::kafka(what))?;
        element.set_metadata(text);
        self.consumer.commit(&partitions, CommitMode::Sync).map_err(Fault::kafka(what))
    }
}

fn poll(consumer: &BaseConsumer<Watcher>, stop: &AtomicBool, standing: &watch::Sender<Standing>) {
    while !stop.load(Ordering::Relaxed) {
        // Assigned partitions are paused: a message that slips through is read elsewhere.
        let Some(Err(error)) = consumer.poll(POLL) else { continue };
        let code = error.rdkafka_error_code();
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        let missing = code == Some(RDKafkaErrorCode::UnknownTopicOrPartition);
        if fatal || missing || code.is_some_and(fault::refused) {
            standing.send_replace(Standing::Refused(error));
        } else {
            tracing::debug!(%error, "the group goes on");
        }
    }
}

/// Says that the member is out when its thread ends, by a panic too.
struct Out(Arc<watch::Sender<Standing>>);

impl Drop for Out {
    fn drop(&mut self) {
        self.0.send_replace(Standing::Gone);
    }
}

/// Passes on what the group decides, at the moment it does.
struct Watcher {
    ledger: String,
    standing: Arc<watch::Sender<Standing>>,
    terms: AtomicU64,
}

impl Watcher {
    fn has_ledger(&self, partitions: &TopicPartitionList) -> bool {
        partitions.find_partition(&self.ledger, PARTITION).is_some()
    }
}

impl ClientContext for Watcher {}

impl ConsumerContext for Watcher {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(partitions) if self.has_ledger(partitions) => {
                tracing::info!("the group takes the ledger away");
                self.standing.send_replace(Standing::Waiting);
            }
            Rebalance::Error(error) => {
                tracing::warn!(%error, "the group cannot be rebalanced");
                self.standing.send_replace(Standing::Waiting);
            }
            Rebalance::Assign(_) | Rebalance::Revoke(_) => {}
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(partitions) = rebalance else { return };
        if !self.has_ledger(partitions) {
            return;
        }
        if let Err(error) = consumer.pause(partitions) {
            tracing::debug!(%error, "the ledger is read for the group in vain");
        }
        let term = self.terms.fetch_add(1, Ordering::Relaxed) + 1;
        self.standing.send_replace(Standing::Assigned(term));
    }
}
