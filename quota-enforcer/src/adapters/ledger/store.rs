//! What a leader writes to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use quota_enforcer_core::audit::{Entry, Head};
use quota_enforcer_core::ledger::{Change, Leader, Ledger};
use quota_enforcer_core::time::{Timestamp, millis};
use tokio::sync::watch;

use super::audit::{check_anchor, tail};
use super::batch::Batch;
use super::member::Standing;
use super::read::read_facts;
use super::writer::{Broken, Writer};
use super::{Fault, Place, topics};
use crate::ports::{LedgerFault, LedgerStore};

/// Why a leadership ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// Another process has fenced this one.
    #[error("another process leads")]
    Fenced,
    /// The group has taken the ledger away, or this process has left it.
    #[error("the group has taken the ledger away")]
    Revoked,
    /// It was given up.
    #[error("the leadership was given up")]
    Resigned,
    /// Nobody knows whether the last transaction was committed.
    #[error("it is not known whether the last transaction was committed: {0}")]
    Uncertain(String),
    /// Ledger or audit are not what was written. Nothing may be enforced until a person has looked at it.
    #[error("{0}")]
    Lost(String),
}

impl End {
    fn fault(self) -> LedgerFault {
        match self {
            Self::Lost(text) => LedgerFault::Lost(text),
            Self::Uncertain(_) => LedgerFault::Unavailable(self.to_string()),
            Self::Fenced | Self::Revoked | Self::Resigned => LedgerFault::Fenced,
        }
    }
}

/// The facts after the last committed transaction, and when that began.
pub(super) struct Known {
    pub(super) ledger: Ledger,
    /// On the clock's monotonic scale.
    pub(super) renewed: Duration,
}

/// The ledger in the hands of its leader. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    place: Place,
    leader: Leader,
    act_from: Duration,
    /// The topics that were led from the start: a new one may have the same name.
    topics: [(String, u128); 2],
    term: u64,
    standing: watch::Receiver<Standing>,
    end: watch::Sender<Option<End>>,
    known: Mutex<Known>,
    writer: Mutex<Writer>,
}

/// What a store is made from.
pub(super) struct Office {
    pub(super) place: Place,
    pub(super) leader: Leader,
    pub(super) act_from: Duration,
    pub(super) topics: [(String, u128); 2],
    pub(super) term: u64,
    pub(super) standing: watch::Receiver<Standing>,
}

impl Store {
    pub(super) fn new(office: Office, known: Known, writer: Writer) -> Self {
        let Office { place, leader, act_from, topics, term, standing } = office;
        let (end, _) = watch::channel(None);
        let (known, writer) = (Mutex::new(known), Mutex::new(writer));
        Self(Arc::new(Shared { place, leader, act_from, topics, term, standing, end, known, writer }))
    }

    /// Why the leadership has ended; `None` while it lasts.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.0.ended()
    }

    /// Waits until the leadership has ended.
    pub async fn ended(&self) -> End {
        let (mut standing, mut end) = (self.0.standing.clone(), self.0.end.subscribe());
        loop {
            if let Some(end) = self.0.ended() {
                return end;
            }
            // A sender that is gone says so first.
            tokio::select! {
                _ = standing.changed() => {}
                _ = end.changed() => {}
            }
        }
    }

    /// Reads both topics again and compares them with what was written.
    ///
    /// # Errors
    /// [`LedgerFault::Lost`] when they differ, which ends the leadership.
    pub async fn verify(&self) -> Result<(), LedgerFault> {
        self.same_topics().await?;
        self.blocking(Shared::verify).await
    }

    /// Ends the leadership. When nobody acts any more, with `done` the next leader need not wait for this lease: for that no
    /// quota write may be under way, or have an unknown outcome.
    ///
    /// # Errors
    /// When that cannot be written; the leadership has ended all the same.
    pub async fn resign(&self, done: bool) -> Result<(), LedgerFault> {
        self.in_time(move |shared| shared.resign(done)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Shared) -> Result<T, LedgerFault> + Send + 'static,
    ) -> Result<T, LedgerFault> {
        let shared = Arc::clone(&self.0);
        // It runs to its end when the caller goes away: what was committed is known then.
        match tokio::task::spawn_blocking(move || run(&shared)).await {
            Ok(result) => result,
            Err(error) => Err(self.uncertain(error.to_string())),
        }
    }

    /// The same for what writes: librdkafka's waits go by the wall clock, so that one which is set back stretches them.
    async fn in_time<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Shared) -> Result<T, LedgerFault> + Send + 'static,
    ) -> Result<T, LedgerFault> {
        let limit = self.0.place.settings.ledger.lease * 2;
        match tokio::time::timeout(limit, self.blocking(run)).await {
            Ok(result) => result,
            Err(_) => Err(self.uncertain(format!("no outcome within {} s", limit.as_secs()))),
        }
    }

    fn uncertain(&self, why: String) -> LedgerFault {
        self.0.finish(End::Uncertain(why.clone()));
        LedgerFault::Unavailable(why)
    }

    /// Whether the topics are those that were led from the start.
    async fn same_topics(&self) -> Result<(), LedgerFault> {
        for (name, id) in &self.0.topics {
            let gone = match topics::look(&self.0.place, name).await {
                Ok(Some(topic)) if topic.id == *id => continue,
                Ok(Some(_)) => format!("topic {name} was deleted and created anew"),
                Ok(None) => format!("topic {name} was deleted"),
                Err(fault) => return Err(unavailable(fault)),
            };
            self.0.finish(End::Lost(gone.clone()));
            return Err(LedgerFault::Lost(gone));
        }
        Ok(())
    }
}

#[async_trait]
impl LedgerStore for Store {
    async fn commit(&self, changes: &[Change], entries: &[Entry]) -> Result<Head, LedgerFault> {
        let (changes, entries) = (changes.to_vec(), entries.to_vec());
        let result = self.in_time(move |shared| shared.commit(&changes, &entries)).await;
        if let Err(LedgerFault::Unavailable(_)) = result {
            // A topic that is gone looks like brokers that are slow.
            self.same_topics().await.or_else(|fault| match fault {
                LedgerFault::Unavailable(_) => Ok(()),
                lost => Err(lost),
            })?;
        }
        result
    }

    fn lease_left(&self) -> Duration {
        let shared = &self.0;
        if shared.ended().is_some() {
            return Duration::ZERO;
        }
        let since = shared.place.clock.monotonic().saturating_sub(lock(&shared.known).renewed);
        shared.place.settings.ledger.lease.saturating_sub(since)
    }

    fn ledger(&self) -> Ledger {
        lock(&self.0.known).ledger.clone()
    }
}

impl Shared {
    fn ended(&self) -> Option<End> {
        if let Some(end) = &*self.end.borrow() {
            return Some(end.clone());
        }
        let assigned = *self.standing.borrow() == Standing::Assigned(self.term);
        (!assigned).then_some(End::Revoked)
    }

    /// The first reason stays, unless the next one explains it: that the ledger is lost.
    fn finish(&self, end: End) {
        let told = self.end.send_if_modified(|known| {
            let told = match known {
                None => true,
                Some(End::Uncertain(_)) => matches!(end, End::Lost(_)),
                Some(_) => false,
            };
            if told {
                *known = Some(end.clone());
            }
            told
        });
        if told {
            tracing::info!(epoch = self.leader.epoch, reason = %end, "the leadership ends");
        }
    }

    /// The writer, while the leadership lasts: who waits for it may have to learn that it has ended.
    fn writer(&self) -> Result<MutexGuard<'_, Writer>, LedgerFault> {
        let goes_on = || self.ended().map_or(Ok(()), |end| Err(end.fault()));
        goes_on()?;
        let writer = lock(&self.writer);
        goes_on()?;
        Ok(writer)
    }

    fn commit(&self, changes: &[Change], entries: &[Entry]) -> Result<Head, LedgerFault> {
        let mut writer = self.writer()?;
        self.write(&mut writer, &self.leader, changes, entries)
    }

    fn write(
        &self,
        writer: &mut Writer,
        leader: &Leader,
        changes: &[Change],
        entries: &[Entry],
    ) -> Result<Head, LedgerFault> {
        let before = lock(&self.known).ledger.clone();
        let batch = Batch::new(&self.place.settings.ledger, &before, leader, changes, entries)
            .map_err(|error| LedgerFault::Unavailable(error.to_string()))?;
        let renewed = self.place.clock.monotonic();
        match writer.transact(&batch.records) {
            Ok(()) => {
                let head = batch.ledger.head.clone().unwrap_or_default();
                *lock(&self.known) = Known { ledger: batch.ledger, renewed };
                Ok(head)
            }
            Err(Broken::Aborted(text)) => Err(LedgerFault::Unavailable(text)),
            Err(Broken::Uncertain(text)) => {
                self.finish(End::Uncertain(text.clone()));
                Err(LedgerFault::Unavailable(text))
            }
            Err(Broken::Fenced) => {
                self.finish(End::Fenced);
                Err(LedgerFault::Fenced)
            }
            Err(Broken::Moved(text)) => {
                self.finish(End::Lost(text.clone()));
                Err(LedgerFault::Lost(text))
            }
        }
    }

    fn verify(&self) -> Result<(), LedgerFault> {
        // It takes a second, for which no write has to wait: what agrees while others write agrees all the same.
        match self.compare() {
            Err(Fault::Record { .. } | Fault::Lost(_)) => {}
            passing => return passing.map_err(unavailable),
        }
        // Nobody else writes: while this is held, the topics stand still.
        let _writer = self.writer()?;
        let differs = match self.compare() {
            Err(fault @ (Fault::Record { .. } | Fault::Lost(_))) => fault.to_string(),
            passing => return passing.map_err(unavailable),
        };
        // Who was fenced meanwhile has nothing to say about what the next one writes.
        if let Some(end) = self.ended() {
            return Err(end.fault());
        }
        self.finish(End::Lost(differs.clone()));
        Err(LedgerFault::Lost(differs))
    }

    /// Whether the topics hold what was written.
    fn compare(&self) -> Result<(), Fault> {
        let (ledger, tail) = (read_facts(&self.place)?.ledger, tail(&self.place)?);
        let settings = &self.place.settings;
        if ledger != lock(&self.known).ledger {
            let topic = &settings.ledger.topic;
            return Err(Fault::Lost(format!("topic {topic} does not hold what was written")));
        }
        check_anchor(settings, ledger.head.as_ref(), &tail)
    }

    fn resign(&self, done: bool) -> Result<(), LedgerFault> {
        let mut writer = self.writer()?;
        let over = done && self.place.clock.monotonic() >= self.act_from;
        // Before that an older lease may still be running, which the next leader has to wait for.
        let result = match over {
            true => {
                let last = Leader { lease_ms: 0, ..self.leader.clone() };
                self.write(&mut writer, &last, &[], &[]).map(drop)
            }
            false => Ok(()),
        };
        self.finish(End::Resigned);
        result
    }
}

fn unavailable(fault: Fault) -> LedgerFault {
    LedgerFault::Unavailable(fault.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who leads, as a fact.
pub(super) fn leader(place: &Place, cluster: &str, epoch: u64) -> Leader {
    Leader {
        cluster: cluster.to_owned(),
        epoch,
        instance: place.settings.instance.clone(),
        since: Timestamp(place.clock.now_ms()),
        lease_ms: u64::try_from(millis(place.settings.ledger.lease)).unwrap_or_default(),
        api: place.settings.api.clone(),
    }
}
