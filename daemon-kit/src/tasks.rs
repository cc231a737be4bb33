//! Tasks with names, in groups that are told to stop together.
//!
//! A detached task dies unseen. Here each task belongs to a group, is known by name, and its end is noticed:
//! - a critical task that ends before the shutdown, however it ends, ends the whole runtime with an error that names it;
//! - an error of a critical task during the shutdown is kept for the exit code;
//! - a panic in any task is a bug and ends the runtime too (in release builds it aborts the process by itself).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::shutdown::{Phase, Shutdown};

/// Any error that can cross threads; `anyhow::Error` converts into it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// After being aborted a task still needs a moment to be dropped.
const ABORT_LIMIT: Duration = Duration::from_millis(100);

tokio::task_local! {
    static NAME: Arc<str>;
}

/// The name of the task that runs now, if it is one of ours.
#[must_use]
pub fn current() -> Option<Arc<str>> {
    NAME.try_with(Arc::clone).ok()
}

/// What a critical task may return.
pub trait Ending {
    /// As a result.
    ///
    /// # Errors
    /// The task's.
    fn result(self) -> Result<(), BoxError>;
}

impl Ending for () {
    fn result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> Ending for Result<(), E> {
    fn result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// How a task ended that should not have.
#[derive(Debug, thiserror::Error)]
#[error("task {task} {how}")]
pub struct Death {
    /// Its name.
    pub task: Arc<str>,
    /// In what way.
    pub how: How,
    /// Its error, if it returned one.
    #[source]
    pub source: Option<BoxError>,
}

/// In what way a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It returned.
    Ended,
    /// It returned an error.
    Failed,
    /// It panicked.
    Panicked,
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ended => "ended unexpectedly",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
        })
    }
}

/// A group of tasks. Clones are the same group.
#[derive(Clone, Debug)]
pub struct Tasks(Arc<Group>);

#[derive(Debug)]
struct Group {
    cancel: CancellationToken,
    tracker: TaskTracker,
    next: AtomicU64,
    running: Mutex<BTreeMap<u64, (Arc<str>, AbortHandle)>>,
    shutdown: Shutdown,
    deaths: mpsc::UnboundedSender<Death>,
}

impl Group {
    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, (Arc<str>, AbortHandle)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tasks {
    /// An empty group. `deaths` hears of each task that should not have ended.
    #[must_use]
    pub fn new(shutdown: Shutdown, deaths: mpsc::UnboundedSender<Death>) -> Self {
        Self(Arc::new(Group {
            cancel: CancellationToken::new(),
            tracker: TaskTracker::new(),
            next: AtomicU64::new(0),
            running: Mutex::default(),
            shutdown,
            deaths,
        }))
    }

    /// Starts a task without which the process is of no use. It gets the group's token, and ends when that is cancelled.
    ///
    /// Must be called within a tokio runtime.
    pub fn critical<F, Fut>(&self, name: impl Into<Arc<str>>, start: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Ending,
    {
        self.start(name.into(), true, start(self.token()));
    }

    /// Starts a task that may end whenever it likes.
    ///
    /// Must be called within a tokio runtime.
    pub fn spawn<F, Fut>(&self, name: impl Into<Arc<str>>, start: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.start(name.into(), false, start(self.token()));
    }

    /// Cancelled when the group is told to stop.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.0.cancel.clone()
    }

    /// Names of the tasks that run.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        self.0.running().values().map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Tells the group to stop and waits for all of it, at most `limit`. What is left then is aborted.
    ///
    /// # Errors
    /// The names of the tasks that did not end in time.
    pub async fn stop(&self, limit: Duration) -> Result<(), Vec<Arc<str>>> {
        self.0.cancel.cancel();
        self.0.tracker.close();
        if tokio::time::timeout(limit, self.0.tracker.wait()).await.is_ok() {
            return Ok(());
        }
        let left = self.names();
        self.abort();
        // A task that blocks its thread cannot be aborted: no reason to wait longer.
        drop(tokio::time::timeout(ABORT_LIMIT, self.0.tracker.wait()).await);
        Err(left)
    }

    /// Drops every task at its next await.
    pub fn abort(&self) {
        self.0.cancel.cancel();
        for (_, handle) in self.0.running().values() {
            handle.abort();
        }
    }

    fn start<Fut>(&self, name: Arc<str>, critical: bool, future: Fut)
    where
        Fut: Future + Send + 'static,
        Fut::Output: Ending,
    {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut watch =
            Watch { group: Arc::clone(&self.0), id, task: Arc::clone(&name), critical, end: None };
        let task = NAME.scope(Arc::clone(&name), async move {
            watch.end(future.await.result());
        });
        // Locked until the task is entered: it may end before this function does.
        let mut running = self.0.running();
        let abort = self.0.tracker.spawn(task).abort_handle();
        running.insert(id, (name, abort));
    }
}

/// Sees the end of a task in whatever way it comes.
struct Watch {
    group: Arc<Group>,
    id: u64,
    task: Arc<str>,
    critical: bool,
    end: Option<Result<(), BoxError>>,
}

impl Watch {
    fn end(&mut self, result: Result<(), BoxError>) {
        self.end = Some(result);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.group.running().remove(&self.id);
        let early = self.critical && self.group.shutdown.phase() == Phase::Running;
        let (how, source) = match self.end.take() {
            None if std::thread::panicking() => (How::Panicked, None),
            Some(Err(error)) => (How::Failed, Some(error)),
            Some(Ok(())) if early && !self.group.cancel.is_cancelled() => (How::Ended, None),
            // Ended as told, or was aborted.
            Some(Ok(())) | None => return,
        };
        // Nobody listens any more: the runtime has returned.
        drop(self.group.deaths.send(Death { task: Arc::clone(&self.task), how, source }));
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn group() -> (Tasks, Shutdown, mpsc::UnboundedReceiver<Death>) {
        let (deaths, heard) = mpsc::unbounded_channel();
        let shutdown = Shutdown::new();
        (Tasks::new(shutdown.clone(), deaths), shutdown, heard)
    }

    #[tokio::test]
    async fn the_end_of_a_critical_task_is_heard_by_name() {
        let (tasks, _, mut heard) = group();
        tasks.critical("loop", |_| async {});
        assert_eq!(heard.recv().await.unwrap().to_string(), "task loop ended unexpectedly");
        tasks.critical("poll", |_| async { Err::<(), BoxError>("gone".into()) });
        let death = heard.recv().await.unwrap();
        assert_eq!(
            (death.to_string(), death.source.unwrap().to_string()),
            ("task poll failed".into(), "gone".into())
        );
    }

    #[tokio::test]
    async fn a_panic_is_heard_whichever_task_it_was() {
        let (tasks, _, mut heard) = group();
        tasks.spawn("request", |_| async { panic!("on purpose") });
        assert_eq!(heard.recv().await.unwrap().to_string(), "task request panicked");
        assert!(tasks.names().is_empty());
    }

    #[tokio::test]
    async fn an_ending_as_told_is_none() {
        let (tasks, shutdown, mut heard) = group();
        tasks.spawn("short", |_| async {});
        tasks.critical("long", |cancel| async move { cancel.cancelled().await });
        shutdown.drain();
        tasks.critical("input closed by an earlier stage", |_| async {});
        tasks.stop(Duration::from_secs(1)).await.unwrap();
        tasks.critical("flush", |_| async { Err::<(), BoxError>("disk full".into()) });
        assert_eq!(&*heard.recv().await.unwrap().task, "flush", "an error is kept, even late");
        assert!(heard.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_stop_in_time_is_named_and_aborted() {
        let (tasks, _, mut heard) = group();
        tasks.critical("good", |cancel| async move { cancel.cancelled().await });
        tasks.critical("deaf", |_| pending::<()>());
        let left = tasks.stop(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(left.iter().map(|name| &**name).collect::<Vec<_>>(), ["deaf"]);
        assert!(tasks.names().is_empty(), "it was dropped");
        assert!(heard.try_recv().is_err(), "we know already");
    }

    #[tokio::test]
    async fn a_task_knows_its_name() {
        let (tasks, _, _heard) = group();
        let (tell, told) = tokio::sync::oneshot::channel();
        tasks.spawn("x", |_| async move { tell.send(current()).unwrap() });
        assert_eq!(told.await.unwrap().as_deref(), Some("x"));
        assert_eq!(current(), None);
    }
}
