//! How a process is asked to end.
//!
//! The first signal drains: [`crate::runtime`] stops its stages in order, each within its limit. The second aborts: the
//! drain is given up and `run` returns an error. Nothing here ends the process; `main` does, by returning.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{self, SignalKind};
use tokio::sync::watch;

/// How far the end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Working.
    #[default]
    Running,
    /// Asked to end.
    Draining,
    /// Asked twice.
    Aborted,
}

/// The end of one runtime. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    phase: Phase,
    signalled: bool,
}

impl Shutdown {
    /// Not asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the end from within: drains, however often it is called.
    pub fn drain(&self) {
        self.0.send_if_modified(|state| {
            let first = state.phase == Phase::Running;
            if first {
                state.phase = Phase::Draining;
            }
            first
        });
    }

    /// What a signal asks for: the first drains, the second aborts.
    pub fn signal(&self) -> Phase {
        self.0.send_modify(|state| {
            state.phase = if state.signalled { Phase::Aborted } else { state.phase.max(Phase::Draining) };
            state.signalled = true;
        });
        self.phase()
    }

    /// How far it has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.borrow().phase
    }

    /// Returns when the end was asked for.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Returns when it was asked for twice.
    pub async fn aborted(&self) {
        self.reached(Phase::Aborted).await;
    }

    async fn reached(&self, phase: Phase) {
        // The sender is part of self, so there is always an answer.
        drop(self.0.subscribe().wait_for(|state| state.phase >= phase).await);
    }
}

/// A signal that a daemon understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: end.
    Terminate,
    /// SIGINT: end.
    Interrupt,
    /// SIGHUP: read the configuration again.
    Hangup,
}

impl Signal {
    /// `SIGTERM`, `SIGINT` or `SIGHUP`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::Hangup => "SIGHUP",
        }
    }
}

/// The signals sent to this process. Several listeners may exist; each hears all.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// Listens; from now on these signals no longer end the process by themselves.
    ///
    /// # Errors
    /// The system's.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.hangup.recv() => Signal::Hangup,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_signal_aborts() {
        let shutdown = Shutdown::new();
        assert_eq!(shutdown.signal(), Phase::Draining);
        assert_eq!(shutdown.signal(), Phase::Aborted);
        shutdown.drain();
        assert_eq!(shutdown.phase(), Phase::Aborted);
    }

    #[test]
    fn a_drain_from_within_is_no_signal() {
        let shutdown = Shutdown::new();
        shutdown.drain();
        shutdown.drain();
        assert_eq!(shutdown.phase(), Phase::Draining);
        assert_eq!(shutdown.signal(), Phase::Draining, "the first signal only asks for what happens already");
        assert_eq!(shutdown.signal(), Phase::Aborted);
    }
}
