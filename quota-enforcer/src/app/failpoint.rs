//! Who is told of the stages of a tick: the metrics and, in tests, a failpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::engine::probe::{Probe, Stage};
use crate::metrics::Meters;

/// For tests only: names a stage at which the process kills itself (SIGKILL), the first time that a tick gets there; with
/// `:stop` behind the name it stops itself (SIGSTOP) there.
pub const VARIABLE: &str = "QUOTA_ENFORCER_FAILPOINT";

/// See the module.
#[derive(Clone, Debug)]
pub struct Probes {
    meters: Meters,
    failpoint: Option<(Stage, Signal)>,
    /// It was reached.
    fired: Arc<AtomicBool>,
}

impl Probes {
    /// With the failpoint that the environment names, if it does.
    ///
    /// # Errors
    /// It names no stage.
    pub fn from_env(meters: Meters) -> Result<Self, String> {
        let failpoint = match std::env::var(VARIABLE) {
            Err(_) => None,
            Ok(text) => {
                let (name, signal) = match text.strip_suffix(":stop") {
                    Some(name) => (name, Signal::STOP),
                    None => (text.as_str(), Signal::KILL),
                };
                let stage = Stage::ALL.into_iter().find(|stage| stage.name() == name);
                let names = || Stage::ALL.map(Stage::name).join(", ");
                Some((stage.ok_or_else(|| format!("{VARIABLE} is none of {}", names()))?, signal))
            }
        };
        if let Some((stage, signal)) = failpoint {
            tracing::warn!(stage = stage.name(), ?signal, "this process ends at a stage: {VARIABLE} is set");
        }
        Ok(Self { meters, failpoint, fired: Arc::default() })
    }
}

impl Probe for Probes {
    fn reached(&self, stage: Stage, took: Duration) {
        self.meters.reached(stage, took);
        if let Some((failpoint, signal)) = self.failpoint
            && failpoint == stage
            && !self.fired.swap(true, Ordering::Relaxed)
        {
            let sent = rustix::process::kill_process(rustix::process::getpid(), signal);
            // Threads stop one after the other: this one goes no further meanwhile.
            std::thread::sleep(Duration::from_secs(1));
            tracing::warn!(?sent, "it goes on after a failpoint");
        }
    }

    fn unguarded(&self, took: Duration) {
        self.meters.unguarded(took);
    }
}
