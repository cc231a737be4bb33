//! A process that runs for months, wired from the other modules.
//!
//! ```no_run
//! use std::time::Duration;
//! use daemon_kit::{admin, runtime::Runtime};
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let mut runtime = Runtime::builder("my-daemon", "1.0").admin(admin::Options::loopback(9100)).build()?;
//! let work = runtime.stage("work", Duration::from_secs(10));
//! let started = runtime.readiness().handle("first pass");
//! work.critical("loop", |cancel| async move {
//!     drop(started);
//!     cancel.cancelled().await;
//! });
//! runtime.run().await?;
//! # Ok(()) }
//! ```
//!
//! [`Runtime::run`] returns after SIGTERM, SIGINT, [`Shutdown::drain`] or the death of a critical task, when the drain is
//! over:
//! 1. `/ready` turns 503 and systemd is told.
//! 2. The stages stop in the order in which they were made, each within its limit. What must be flushed belongs into the
//!    last of them.
//! 3. The admin listener stops, so that the drain can be watched until its end.
//!
//! Nothing is global: registry, clock, port and signals belong to a runtime, so two of them can live in one process.

mod error;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use crate::admin::{self, BindError, Bound, Routes, Shown};
use crate::clock::{Clock, SystemClock};
use crate::diagnostic::Diagnostic;
use crate::metrics;
use crate::ready::Readiness;
use crate::reload::{self, Current, Trigger};
use crate::shutdown::{Shutdown, Signal, Signals};
use crate::source::Source;
use crate::systemd::Notifier;
use crate::tasks::{Death, Tasks};

pub use error::RunError;

/// For the kit's own tasks: an answer on the admin listener may be on its way.
const OWN_LIMIT: Duration = Duration::from_secs(2);

/// What a runtime is made of.
#[derive(Debug)]
pub struct Builder {
    name: &'static str,
    version: &'static str,
    admin: Option<admin::Options>,
    clock: Arc<dyn Clock>,
    signals: bool,
    notifier: Notifier,
}

impl Builder {
    /// Listens there; without it there is no admin listener.
    #[must_use]
    pub fn admin(mut self, options: admin::Options) -> Self {
        self.admin = Some(options);
        self
    }

    /// Takes the time from there.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Leaves signals alone: whoever embeds the runtime calls [`Shutdown::drain`].
    #[must_use]
    pub fn without_signals(mut self) -> Self {
        self.signals = false;
        self
    }

    /// Tells systemd there, not where `$NOTIFY_SOCKET` says.
    #[must_use]
    pub fn notifier(mut self, notifier: Notifier) -> Self {
        self.notifier = notifier;
        self
    }

    /// Reserves the port and registers the metrics that every daemon has.
    ///
    /// # Errors
    /// The port cannot be had.
    pub fn build(self) -> Result<Runtime, BindError> {
        let Self { name, version, admin, clock, signals, notifier } = self;
        let admin = admin.map(admin::Options::bind).transpose()?;
        let (readiness, mut registry) = (Readiness::new(), Registry::default());
        metrics::register_build(&mut registry, name, version);
        registry.register_collector(Box::new(metrics::Process));
        registry.register_collector(Box::new(readiness.clone()));
        let shutdown = Shutdown::new();
        let (die, deaths) = mpsc::unbounded_channel();
        let own = Tasks::new(shutdown.clone(), die.clone());
        Ok(Runtime {
            name,
            admin,
            clock,
            signals,
            notifier,
            registry,
            readiness,
            shutdown,
            routes: Routes::new(),
            reload: None,
            stages: Vec::new(),
            own,
            die,
            deaths,
        })
    }
}

/// Tasks that stop together.
#[derive(Debug)]
struct Stage {
    name: &'static str,
    limit: Duration,
    tasks: Tasks,
}

/// One daemon in one process, not yet running.
#[derive(Debug)]
pub struct Runtime {
    name: &'static str,
    admin: Option<Bound>,
    clock: Arc<dyn Clock>,
    signals: bool,
    notifier: Notifier,
    registry: Registry,
    readiness: Readiness,
    shutdown: Shutdown,
    routes: Routes,
    reload: Option<reload::Handle>,
    stages: Vec<Stage>,
    own: Tasks,
    die: mpsc::UnboundedSender<Death>,
    deaths: mpsc::UnboundedReceiver<Death>,
}

impl Runtime {
    /// A runtime with the machine's clock, signals, and the systemd that started it, if one did.
    #[must_use]
    pub fn builder(name: &'static str, version: &'static str) -> Builder {
        Builder {
            name,
            version,
            admin: None,
            clock: Arc::new(SystemClock::new()),
            signals: true,
            notifier: Notifier::from_env(),
        }
    }

    /// Where the admin listener is.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Bound::address)
    }

    /// Where the daemon registers its own metrics.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// What time it is.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Whether the process should get work.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// How it is asked to end.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Adds routes to the admin listener.
    pub fn routes(&mut self, routes: Routes) {
        self.routes = std::mem::take(&mut self.routes).then(routes);
    }

    /// A group of tasks that is told to stop after the groups made before it have stopped, and gets `limit` for it.
    pub fn stage(&mut self, name: &'static str, limit: Duration) -> Tasks {
        let tasks = Tasks::new(self.shutdown.clone(), self.die.clone());
        self.stages.push(Stage { name, limit, tasks: tasks.clone() });
        tasks
    }

    /// Loads the configuration and keeps it loaded: file changes, SIGHUP and `POST /-/reload`.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What is wrong with it, or a second call: a daemon has one configuration.
    pub fn config<T, L>(&mut self, options: reload::Options, load: L) -> Result<Current<T>, Vec<Diagnostic>>
    where
        T: Send + Sync + 'static,
        L: Fn(&Source) -> Result<T, Vec<Diagnostic>> + Send + Sync + 'static,
    {
        if self.reload.is_some() {
            return Err(vec![Diagnostic::error("config-twice", "a daemon has one configuration")]);
        }
        let (reloader, handle, current) = reload::open(options, self.clock(), &mut self.registry, load)?;
        self.own.critical("reload", |cancel| reloader.run(cancel));
        self.reload = Some(handle);
        Ok(current)
    }

    /// Runs until it is asked to end, then drains.
    ///
    /// # Errors
    /// Whatever made it end but a request, and whatever did not end as it should.
    pub async fn run(self) -> Result<(), RunError> {
        let Self { admin, routes, registry, readiness, reload, own, notifier, shutdown, stages, .. } = self;
        let mut deaths = self.deaths;
        // A group of its own, which outlives the drain: the second signal must be heard until its end.
        let listening = Tasks::new(shutdown.clone(), self.die);
        if self.signals {
            let signals = Signals::listen().map_err(RunError::Signals)?;
            let obey = Obey {
                shutdown: shutdown.clone(),
                readiness: readiness.clone(),
                notifier: notifier.clone(),
                reload: reload.clone(),
                tasks: own.clone(),
            };
            listening.critical("signals", |_| obey.run(signals));
        }
        if let Some(admin) = admin {
            let shown = Shown { readiness: readiness.clone(), registry: Arc::new(registry), reload };
            admin.spawn(shown, routes, &own).map_err(RunError::Listener)?;
        }
        own.spawn("systemd", |cancel| {
            let (readiness, notifier) = (readiness.clone(), notifier.clone());
            async move {
                tokio::select! {
                    () = readiness.ready() => notifier.ready(),
                    () = cancel.cancelled() => {}
                }
            }
        });

        let death = tokio::select! {
            biased;
            () = shutdown.draining() => None,
            death = deaths.recv() => death,
        };
        if let Some(death) = &death {
            tracing::error!(error = %death, cause = death.source.as_deref(), "a critical task is gone: draining");
        }
        tracing::info!(name = self.name, "draining");
        shutdown.drain();
        readiness.drain();
        notifier.stopping();
        let drained = tokio::select! {
            biased;
            () = shutdown.aborted() => Err(RunError::Aborted),
            left = drain(&stages, &own) => if left.is_empty() { Ok(()) } else { Err(RunError::Overran(left)) },
        };
        listening.abort();
        if drained.is_err() {
            stages.iter().map(|stage| &stage.tasks).chain([&own]).for_each(Tasks::abort);
        }
        // The first cause counts; an abort is the operator's word.
        match (drained, death.or_else(|| deaths.try_recv().ok())) {
            (Err(RunError::Aborted), _) => Err(RunError::Aborted),
            (_, Some(death)) => Err(RunError::Task(death)),
            (drained, None) => drained,
        }
    }
}

/// Stops one stage after the other; returns what did not stop in time, as `stage: task`.
async fn drain(stages: &[Stage], own: &Tasks) -> Vec<String> {
    let mut left = Vec::new();
    let own = Stage { name: "runtime", limit: OWN_LIMIT, tasks: own.clone() };
    for Stage { name, limit, tasks } in stages.iter().chain([&own]) {
        match tasks.stop(*limit).await {
            Ok(()) => tracing::debug!(stage = name, "stopped"),
            Err(tasks) => {
                tracing::error!(stage = name, ?tasks, ?limit, "did not stop in time");
                left.extend(tasks.iter().map(|task| format!("{name}: {task}")));
            }
        }
    }
    left
}

/// What signals do.
struct Obey {
    shutdown: Shutdown,
    readiness: Readiness,
    notifier: Notifier,
    reload: Option<reload::Handle>,
    tasks: Tasks,
}

impl Obey {
    async fn run(self, mut signals: Signals) {
        loop {
            let signal = signals.next().await;
            tracing::info!(signal = signal.name(), "received");
            match signal {
                Signal::Hangup => self.reload(),
                Signal::Terminate | Signal::Interrupt => drop(self.shutdown.signal()),
            }
        }
    }

    /// In a task of its own: the next signal does not wait for it.
    fn reload(&self) {
        let Some(reload) = self.reload.clone() else { return };
        let (notifier, readiness) = (self.notifier.clone(), self.readiness.clone());
        self.tasks.spawn("reload on SIGHUP", |_| async move {
            notifier.reloading();
            // The reloader has logged and counted what came of it.
            drop(reload.reload(Trigger::Signal).await);
            if readiness.is_ready() {
                notifier.ready();
            }
        });
    }
}
