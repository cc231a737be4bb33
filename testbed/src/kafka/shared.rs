//! Clusters that the tests of one binary share, so that each test need not start its own.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use tokio::sync::{self, Notify, OnceCell};

use super::{Cluster, Options};

/// Names how many clusters may run in one process at the same time.
const CLUSTERS: &str = "TEST_CLUSTERS";
/// The number without that variable. Three brokers need about 1.5 GiB of memory.
const DEFAULT_CLUSTERS: usize = 2;

/// They end with the process: the kernel ends the brokers, a small process removes the folders.
static POOL: Mutex<Vec<Entry>> = Mutex::new(Vec::new());
static RETURNED: Notify = Notify::const_new();

#[derive(Debug)]
struct Entry {
    options: Options,
    lent: Arc<Lent>,
    usage: Usage,
}

#[derive(Debug, Default)]
struct Lent {
    /// Empty until its first user has started it.
    cluster: OnceCell<Cluster>,
    /// Held by the one who brings up what a test before left down.
    healing: sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usage {
    Free,
    /// By so many tests.
    Shared(usize),
    Exclusive,
}

/// A cluster for as long as a test needs it. When the test panics, the end of the brokers' logs is printed and the folder
/// stays.
#[derive(Debug)]
pub struct ClusterGuard {
    lent: Arc<Lent>,
}

impl Cluster {
    /// A cluster with default options. Other tests use it at the same time: take topics, client ids and users of your own,
    /// and leave every broker up.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn shared() -> Result<ClusterGuard> {
        lend(&Options::default(), |usage| match usage {
            Usage::Free => Some(Usage::Shared(1)),
            Usage::Shared(tests) => Some(Usage::Shared(tests + 1)),
            Usage::Exclusive => None,
        })
        .await
    }

    /// The same with no other test on it: for tests that kill or pause brokers or change what all clients feel. What they
    /// leave down is brought up for the next test; what they leave behind (topics, quotas, users) is there.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn exclusive() -> Result<ClusterGuard> {
        Self::exclusive_with(&Options::default()).await
    }

    /// The same with other options.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn exclusive_with(options: &Options) -> Result<ClusterGuard> {
        lend(options, |usage| (usage == Usage::Free).then_some(Usage::Exclusive)).await
    }
}

/// Waits for a cluster that `take` accepts. `take` gets the current usage and returns the new one.
async fn lend(options: &Options, take: impl Fn(Usage) -> Option<Usage>) -> Result<ClusterGuard> {
    let limit = match std::env::var(CLUSTERS) {
        Ok(text) => text.parse().with_context(|| format!("{CLUSTERS}={text} is not a number"))?,
        Err(_) => DEFAULT_CLUSTERS,
    };
    loop {
        // Before the look, so that nothing that comes back in between is missed.
        let returned = RETURNED.notified();
        if let Some(guard) = try_lend(options, limit, &take) {
            let cluster = guard.lent.cluster.get_or_try_init(|| Cluster::start(options)).await?;
            let healing = guard.lent.healing.lock().await;
            cluster.heal().await?;
            drop(healing);
            return Ok(guard);
        }
        returned.await;
    }
}

fn try_lend(options: &Options, limit: usize, take: &impl Fn(Usage) -> Option<Usage>) -> Option<ClusterGuard> {
    let mut pool = pool();
    let fitting = pool.iter_mut().filter(|entry| entry.options == *options);
    let usable = fitting.filter_map(|entry| take(entry.usage).map(|usage| (entry, usage)));
    // Those who share stay together: an idle cluster is left to a test that wants one for itself.
    if let Some((entry, usage)) = usable.min_by_key(|(entry, _)| entry.usage == Usage::Free) {
        entry.usage = usage;
        return Some(ClusterGuard { lent: Arc::clone(&entry.lent) });
    }
    let usage = take(Usage::Free)?;
    if pool.len() >= limit.max(1) {
        // Dropping the last reference ends its brokers.
        let idle = pool.iter().position(|entry| entry.usage == Usage::Free)?;
        pool.swap_remove(idle);
    }
    let lent = Arc::default();
    pool.push(Entry { options: options.clone(), lent: Arc::clone(&lent), usage });
    Some(ClusterGuard { lent })
}

fn pool() -> MutexGuard<'static, Vec<Entry>> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClusterGuard {
    /// Lets the cluster end with this guard: no later test gets it.
    pub fn discard(&self) {
        pool().retain(|entry| !Arc::ptr_eq(&entry.lent, &self.lent));
    }
}

impl Deref for ClusterGuard {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        #[allow(clippy::expect_used, reason = "`lend` returns a guard only after the start")]
        self.lent.cluster.get().expect("the cluster was started")
    }
}

impl Drop for ClusterGuard {
    fn drop(&mut self) {
        if let Some(cluster) = self.lent.cluster.get().filter(|_| thread::panicking()) {
            cluster.keep();
            eprintln!("Kafka's logs and data stay in {}", cluster.folder().display());
            eprintln!("{}", cluster.log_tail(10));
        }
        let mut pool = pool();
        if let Some(entry) = pool.iter_mut().find(|entry| Arc::ptr_eq(&entry.lent, &self.lent)) {
            entry.usage = match entry.usage {
                Usage::Shared(tests) if tests > 1 => Usage::Shared(tests - 1),
                _ => Usage::Free,
            };
        }
        drop(pool);
        RETURNED.notify_waiters();
    }
}
