//! What is known of each run, as those who measure tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quota_enforcer::engine::probe::Stage;
use quota_enforcer::ports::BrokerId;
use quota_enforcer_core::time::Timestamp;

/// One client that goes wild. Times are on the clock's monotonic scale.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) client: String,
    /// Its first record was handed to the client library.
    pub(crate) first_byte: Option<Duration>,
    /// When Prometheus had its samples, each called by the time of its oldest reading.
    pub(crate) samples: BTreeMap<Timestamp, Duration>,
    /// Prometheus had the k-th confirming sample of a watcher that looks all the time.
    pub(crate) unmissed: Option<Duration>,
    /// The sample that was the k-th for the enforcer's ticks.
    pub(crate) counted: Option<Timestamp>,
    /// What kept ticks that had confirmed it from acting.
    pub(crate) held_up: BTreeSet<String>,
    /// The tick that acted.
    pub(crate) acted: Option<Acted>,
    /// A broker told the quota.
    pub(crate) live: BTreeMap<BrokerId, Duration>,
}

impl Run {
    /// When Prometheus had the sample that was the k-th for the ticks.
    pub(crate) fn visible(&self) -> Option<Duration> {
        self.samples.range(self.counted?..).next().map(|(_, at)| *at)
    }
}

/// A tick and its stages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acted {
    pub(crate) began: Duration,
    pub(crate) reached: BTreeMap<Stage, Duration>,
}

/// A run with the way it was done in.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) scrape: Duration,
    pub(crate) tick: Duration,
    pub(crate) run: Run,
}

/// The runs of a phase. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<BTreeMap<String, Run>>>);

impl Board {
    fn runs(&self) -> MutexGuard<'_, BTreeMap<String, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client begins.
    pub(crate) fn begins(&self, client: &str, at: Duration) {
        let run = Run { client: client.to_owned(), first_byte: Some(at), ..Run::default() };
        self.runs().insert(client.to_owned(), run);
    }

    /// Changes what is known of a client; nothing when it has not begun.
    pub(crate) fn note(&self, client: &str, change: impl FnOnce(&mut Run)) {
        if let Some(run) = self.runs().get_mut(client) {
            change(run);
        }
    }

    /// A copy.
    pub(crate) fn run(&self, client: &str) -> Option<Run> {
        self.runs().get(client).cloned()
    }

    /// Clients that have begun and whose times are not all known yet.
    pub(crate) fn awaited(&self) -> Vec<String> {
        let runs = self.runs();
        let open = |run: &&Run| run.acted.is_none() || run.unmissed.is_none() || run.visible().is_none();
        runs.values().filter(open).map(|run| run.client.clone()).collect()
    }
}
