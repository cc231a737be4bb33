//! One node of a cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::options::Listener;
use super::ports::Ports;
use super::{Options, java};
use crate::process::{Orphaned, Process, loopback};
use crate::programs;
use crate::wait::Hopeless;

/// A combined broker and controller, running or not. Its ports and data stay while it is down.
#[derive(Debug)]
pub struct Broker {
    id: i32,
    ports: Ports,
    folder: PathBuf,
    heap_mib: u16,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    process: Option<Process>,
    paused: bool,
}

impl Broker {
    /// A node that has never run; its files lie in `folder`.
    pub(crate) const fn new(id: i32, ports: Ports, folder: PathBuf, options: &Options) -> Self {
        let state = Mutex::new(State { process: None, paused: false });
        Self { id, ports, folder, heap_mib: options.heap_mib, state }
    }

    /// Its node id, from 1.
    #[must_use]
    pub const fn id(&self) -> i32 {
        self.id
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self, listener: Listener) -> SocketAddr {
        self.ports.of(listener)
    }

    /// Where its JMX exporter listens.
    #[must_use]
    pub fn metrics(&self) -> SocketAddr {
        loopback(self.ports.metrics)
    }

    /// Its folder: `server.properties`, `broker.log` and `data/`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process id; `None` while it is down.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let mut state = self.state();
        let process = state.process.as_mut()?;
        if process.exited().is_some() { None } else { process.pid() }
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let all: Vec<&str> = log.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&self) {
        let mut state = self.state();
        *state = State::default();
    }

    /// Lets it shut down in order: leaders move away first. Ends it after ten seconds if it has not; at once when paused.
    pub async fn stop(&self) {
        let state = std::mem::take(&mut *self.state());
        let Some(mut process) = state.process else { return };
        if state.paused {
            return;
        }
        // Waiting for a process blocks a thread.
        let waited = tokio::task::spawn_blocking(move || process.stop()).await;
        debug_assert!(waited.is_ok(), "stopping does not panic");
    }

    /// Stops it in the middle of whatever it does (SIGSTOP), connections open.
    ///
    /// # Errors
    /// When it is down.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP, true)
    }

    /// Lets it go on after [`Broker::pause`] (SIGCONT).
    ///
    /// # Errors
    /// When it is down.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT, false)
    }

    fn signal(&self, signal: Signal, paused: bool) -> Result<()> {
        let mut state = self.state();
        let process = state.process.as_ref().with_context(|| format!("broker {} is down", self.id))?;
        process.signal(signal)?;
        state.paused = paused;
        Ok(())
    }

    /// Whether it is up and not paused, as far as we did it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.pid().is_some() && !self.state().paused
    }

    /// Starts its process and does not wait.
    ///
    /// # Errors
    /// When it is up, or Java cannot be started.
    pub(crate) fn spawn(&self) -> Result<()> {
        if self.pid().is_some() {
            bail!("broker {} is up", self.id);
        }
        let mut arguments = java::arguments(self.heap_mib)?;
        arguments.push(java::exporter(self.ports.metrics)?);
        arguments.push("kafka.Kafka".to_owned());
        arguments.push(self.folder.join("server.properties").display().to_string());
        let name = format!("broker {}", self.id);
        let process = Process::spawn(name, &programs::java()?, &arguments, self.log(), Orphaned::Kill)?;
        *self.state() = State { process: Some(process), paused: false };
        Ok(())
    }

    /// Fails when its process has ended by itself.
    ///
    /// # Errors
    /// With its exit status.
    pub(crate) fn check(&self) -> Result<()> {
        match self.state().process.as_mut().and_then(Process::exited) {
            Some(status) => bail!(Hopeless(format!("broker {} exited: {status}", self.id))),
            None => Ok(()),
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("broker.log")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
