use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::watch::Hints;
use super::{Answer, Done, Failed, Job, Load, Loaded, Options, Trigger, hash};
use crate::clock::Clock;
use crate::config;

/// The only one that reads the file and swaps.
pub struct Reloader<T> {
    options: Options,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    load: Load<T>,
    current: watch::Sender<Arc<Loaded<T>>>,
    jobs: mpsc::Receiver<Job>,
    seen: Seen,
}

/// What the file was when it was last looked at, whatever came of it.
#[derive(Clone, PartialEq, Eq)]
enum Seen {
    Content(String),
    Unreadable,
}

enum Attempt<T> {
    /// The file is as it was, and nobody insists.
    Same,
    Good(T, String),
    Bad(Seen, Failed),
}

impl<T: Send + Sync + 'static> Reloader<T> {
    pub(super) fn new(
        options: Options,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        load: Load<T>,
        current: watch::Sender<Arc<Loaded<T>>>,
        jobs: mpsc::Receiver<Job>,
    ) -> Self {
        let seen = Seen::Content(current.borrow().hash.clone());
        Self { options, clock, metrics, load, current, jobs, seen }
    }

    /// Handles one reload after the other until it is cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let hints = Hints::of(&self.options.path);
        let debounce = self.options.debounce;
        // Kept while other things happen: a hint must not start to wait anew because of them.
        let mut quiet = pin!(hints.quiet(debounce));
        let mut poll = interval(self.options.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                Some(job) = self.jobs.recv() => self.answer(job).await,
                () = quiet.as_mut() => {
                    quiet.set(hints.quiet(debounce));
                    drop(self.reload(Trigger::File).await);
                }
                // The first tick comes at once: the file may have changed since it was first read. What a poll finds may be
                // half written, so it is only one more hint.
                _ = poll.tick() => if self.differs().await { hints.raise() },
            }
        }
    }

    /// One reload for everybody who asked before it began.
    async fn answer(&mut self, first: Job) {
        let mut jobs = vec![first];
        while let Ok(job) = self.jobs.try_recv() {
            jobs.push(job);
        }
        let trigger = jobs.iter().map(|job| job.trigger).find(|trigger| *trigger != Trigger::File);
        let answer = self.reload(trigger.unwrap_or(Trigger::File)).await;
        for job in jobs {
            // Who went away needs no answer.
            drop(job.answer.send(answer.clone()));
        }
    }

    async fn differs(&self) -> bool {
        let path = self.options.path.clone();
        let seen = tokio::task::spawn_blocking(move || match config::open(&path) {
            Ok(source) => Seen::Content(hash(&source)),
            Err(_) => Seen::Unreadable,
        });
        seen.await.is_ok_and(|seen| seen != self.seen)
    }

    async fn reload(&mut self, trigger: Trigger) -> Answer {
        let unless = (trigger == Trigger::File).then(|| self.seen.clone());
        let (path, load) = (self.options.path.clone(), Arc::clone(&self.load));
        let attempt = tokio::task::spawn_blocking(move || attempt(&path, &load, unless.as_ref()));
        match attempt.await {
            Ok(Attempt::Same) => Ok(self.done()),
            Ok(Attempt::Good(value, hash)) => Ok(self.swap(trigger, value, hash)),
            Ok(Attempt::Bad(seen, failed)) => {
                self.seen = seen;
                self.fail(trigger, failed)
            }
            Err(error) => self.fail(trigger, Failed::new(format_args!("the loader broke: {error}"))),
        }
    }

    fn swap(&mut self, trigger: Trigger, value: T, hash: String) -> Done {
        let generation = self.current.borrow().generation + 1;
        let loaded_at_ms = self.clock.now_ms();
        self.seen = Seen::Content(hash.clone());
        self.metrics.succeeded(&hash, loaded_at_ms);
        tracing::info!(?trigger, generation, hash, "configuration reloaded");
        self.current.send_replace(Arc::new(Loaded { value, hash, generation, loaded_at_ms }));
        self.done()
    }

    fn fail(&self, trigger: Trigger, failed: Failed) -> Answer {
        self.metrics.failed();
        let path = self.options.path.display();
        tracing::error!(?trigger, %path, error = %failed, "configuration not reloaded, the last good one stays");
        Err(failed)
    }

    fn done(&self) -> Done {
        let current = self.current.borrow();
        Done { generation: current.generation, hash: current.hash.clone() }
    }
}

fn attempt<T>(path: &Path, load: &Load<T>, unless: Option<&Seen>) -> Attempt<T> {
    let source = match config::open(path) {
        Ok(source) => source,
        Err(_) if unless == Some(&Seen::Unreadable) => return Attempt::Same,
        Err(diagnostic) => return Attempt::Bad(Seen::Unreadable, vec![diagnostic].into()),
    };
    let hash = hash(&source);
    let seen = Seen::Content(hash.clone());
    if unless == Some(&seen) {
        return Attempt::Same;
    }
    match load(&source) {
        Ok(value) => Attempt::Good(value, hash),
        Err(diagnostics) => Attempt::Bad(seen, diagnostics.into()),
    }
}

impl<T> std::fmt::Debug for Reloader<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").field("options", &self.options).finish_non_exhaustive()
    }
}
