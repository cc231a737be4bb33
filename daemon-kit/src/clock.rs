//! Time as an argument.
//!
//! What decides by time takes a [`Clock`], so that a test can say what time it is. Waiting is tokio's business, whose
//! clock a test can pause.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// What time it is.
pub trait Clock: Debug + Send + Sync {
    /// Wall clock, in milliseconds since 1970. It may jump, backwards too.
    fn now_ms(&self) -> i64;

    /// Time since some fixed moment. It never goes backwards; only differences mean something.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the machine. The monotonic one goes on while the machine sleeps (`CLOCK_BOOTTIME`), which
/// [`Instant`](std::time::Instant) does not: a lease that ran out meanwhile is over for whoever wakes. Where a virtual machine
/// is paused together with its clocks, neither notices.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Duration,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: since_boot() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that is passed down")]
    fn now_ms(&self) -> i64 {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => -millis(before.duration()),
        }
    }

    fn monotonic(&self) -> Duration {
        since_boot().saturating_sub(self.start)
    }
}

/// Sleep included.
fn since_boot() -> Duration {
    // It is never negative.
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_is_that_since_boot_with_the_time_asleep() {
        let clock = SystemClock::new();
        let uptime = || {
            let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
            Duration::from_secs_f64(uptime.split(' ').next().unwrap().parse().unwrap())
        };
        let before = uptime();
        let since_boot = clock.start + clock.monotonic();
        // The file has hundredths of seconds.
        let after = uptime() + Duration::from_millis(10);
        assert!((before..=after).contains(&since_boot), "{before:?} {since_boot:?} {after:?}");
    }
}
