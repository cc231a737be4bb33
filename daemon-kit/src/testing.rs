//! For tests of daemons.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(Mutex<Times>);

#[derive(Clone, Copy, Debug)]
struct Times {
    wall_ms: i64,
    monotonic: Duration,
}

impl ManualClock {
    /// A clock whose wall shows `wall_ms` milliseconds since 1970.
    #[must_use]
    pub fn at_ms(wall_ms: i64) -> Self {
        Self(Mutex::new(Times { wall_ms, monotonic: Duration::ZERO }))
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut times = self.times();
        times.monotonic += by;
        times.wall_ms = times.wall_ms.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Makes the wall clock jump; the monotonic one does not notice.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        self.times().wall_ms = wall_ms;
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.times().wall_ms
    }

    fn monotonic(&self) -> Duration {
        self.times().monotonic
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_jump_of_the_wall_is_no_passing_time() {
        let clock = ManualClock::at_ms(1_000);
        clock.advance(Duration::from_millis(250));
        assert_eq!((clock.now_ms(), clock.monotonic()), (1_250, Duration::from_millis(250)));
        clock.set_wall_ms(10);
        assert_eq!((clock.now_ms(), clock.monotonic()), (10, Duration::from_millis(250)));
    }

    #[test]
    fn the_clock_of_the_machine_shows_this_century() {
        let clock = SystemClock::new();
        let before = clock.monotonic();
        assert!((1_600_000_000_000..5_000_000_000_000).contains(&clock.now_ms()));
        assert!(clock.monotonic() >= before);
    }
}
