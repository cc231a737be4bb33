//! One cluster for all tests of a binary.

use std::ops::Deref;
use std::thread;

use anyhow::Result;
use tokio::sync::{Mutex, OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Cluster, Options};

/// Started by the first test that asks, ended with the process: brokers by the kernel, the folder by its remover.
static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static USE: RwLock<()> = RwLock::const_new(());
/// Held by the one who brings up what a test before left down.
static HEALING: Mutex<()> = Mutex::const_new(());

/// The shared cluster, for as long as a test needs it. When the test panics, the end of the brokers' logs is printed and
/// the folder stays.
#[derive(Debug)]
pub struct Loan {
    cluster: &'static Cluster,
    _turn: Turn,
}

#[derive(Debug)]
enum Turn {
    Together { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

impl Cluster {
    /// The cluster that all tests of this binary share (default options). Others use it at the same time: take topics, client
    /// ids and users of your own, and leave every broker up.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn shared() -> Result<Loan> {
        let turn = Turn::Together { _guard: USE.read().await };
        Loan::new(turn).await
    }

    /// The same cluster with nobody else on it: for tests that kill or pause brokers or change what all feel. It waits
    /// until the others are done; what is down at the end is brought up for the next.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn alone() -> Result<Loan> {
        let turn = Turn::Alone { _guard: USE.write().await };
        Loan::new(turn).await
    }
}

impl Loan {
    async fn new(turn: Turn) -> Result<Self> {
        let cluster = CLUSTER.get_or_try_init(|| async { Cluster::start(&Options::default()).await }).await?;
        let healing = HEALING.lock().await;
        cluster.heal().await?;
        drop(healing);
        Ok(Self { cluster, _turn: turn })
    }
}

impl Deref for Loan {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if thread::panicking() {
            self.cluster.keep();
            eprintln!("Kafka's logs and data stay in {}", self.cluster.folder().display());
            eprintln!("{}", self.cluster.log_tail(10));
        }
    }
}
