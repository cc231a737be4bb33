use std::io;

use crate::tasks::Death;

/// Why a run was not a good one.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system gives us no signals.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// The admin listener does not start.
    #[error("cannot start the admin listener")]
    Listener(#[source] io::Error),
    /// A task ended that should not have, or failed while it stopped.
    #[error(transparent)]
    Task(Death),
    /// The drain was over, these tasks were not.
    #[error("not stopped in time: {}", .0.join(", "))]
    Overran(Vec<String>),
    /// A second signal came during the drain.
    #[error("aborted by a second signal")]
    Aborted,
}

impl RunError {
    /// Exit code of the process: 130 for an abort, as a shell says it of SIGINT, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Aborted => 130,
            Self::Signals(_) | Self::Listener(_) | Self::Task(_) | Self::Overran(_) => 1,
        }
    }
}
