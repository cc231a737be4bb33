//! Who is told of the stages of a tick: the metrics and, in tests, a failpoint.

use std::time::Duration;

use rustix::process::Signal;

use crate::engine::probe::{Probe, Stage};
use crate::metrics::Meters;

/// For tests only: names a stage at which the process kills itself (SIGKILL), the first time that a tick gets there.
pub const VARIABLE: &str = "QUOTA_ENFORCER_FAILPOINT";

/// See the module.
#[derive(Clone, Debug)]
pub struct Probes {
    meters: Meters,
    failpoint: Option<Stage>,
}

impl Probes {
    /// With the failpoint that the environment names, if it does.
    ///
    /// # Errors
    /// It names no stage.
    pub fn from_env(meters: Meters) -> Result<Self, String> {
        let failpoint = match std::env::var(VARIABLE) {
            Err(_) => None,
            Ok(name) => {
                let stage = Stage::ALL.into_iter().find(|stage| stage.name() == name);
                let names = || Stage::ALL.map(Stage::name).join(", ");
                Some(stage.ok_or_else(|| format!("{VARIABLE} is none of {}", names()))?)
            }
        };
        if let Some(stage) = failpoint {
            tracing::warn!(stage = stage.name(), "this process kills itself at a stage: {VARIABLE} is set");
        }
        Ok(Self { meters, failpoint })
    }
}

impl Probe for Probes {
    fn reached(&self, stage: Stage, took: Duration) {
        self.meters.reached(stage, took);
        if self.failpoint == Some(stage) {
            let killed = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
            tracing::error!(?killed, "a failpoint was survived");
        }
    }
}
