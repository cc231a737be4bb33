//! What time it is when the wall clock may jump.
//!
//! Holds are timed by the monotonic clock, anchored to the wall clock at the start. When the wall clock jumps away from
//! that, the samples of Prometheus say which of the two is right; while neither agrees with them, nothing is tightened.

use std::time::Duration;

use quota_enforcer_core::time::Timestamp;

/// Less is how clocks are corrected all the time.
const JUMP: Duration = Duration::from_secs(5);

/// The time that decisions are made by.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrustedTime {
    wall: Timestamp,
    monotonic: Duration,
}

/// A reading of [`TrustedTime`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The time.
    pub(super) now: Timestamp,
    /// Why it cannot be relied on to tighten anything.
    pub(super) doubt: Option<String>,
}

impl TrustedTime {
    /// Anchored at this moment.
    #[must_use]
    pub(super) fn new(wall: Timestamp, monotonic: Duration) -> Self {
        Self { wall, monotonic }
    }

    /// The time at this moment, with no sample at hand.
    pub(super) fn unconfirmed(&mut self, wall: Timestamp, monotonic: Duration) -> Reading {
        self.read(wall, monotonic, None, Duration::ZERO)
    }

    /// The time at this moment. `newest` is the timestamp of the newest sample that was read, if any was, and `max_age`
    /// how far such a sample may be off.
    pub(super) fn read(
        &mut self,
        wall: Timestamp,
        monotonic: Duration,
        newest: Option<Timestamp>,
        max_age: Duration,
    ) -> Reading {
        let anchored = self.wall + monotonic.saturating_sub(self.monotonic);
        // A sample may be old, and is never from the future.
        let agrees = |time: Timestamp| {
            newest.is_none_or(|sample| time.since(sample) <= max_age.max(JUMP) && sample.since(time) <= JUMP)
        };
        if apart(wall, anchored) <= JUMP {
            *self = Self::new(wall, monotonic);
            let doubt = (!agrees(wall)).then(|| {
                "the clock here and the timestamps of Prometheus disagree, or its samples are old".to_owned()
            });
            return Reading { now: wall, doubt };
        }
        if agrees(wall) && newest.is_some_and(|sample| apart(wall, sample) < apart(anchored, sample)) {
            // The machine slept, or somebody set a wrong clock right.
            *self = Self::new(wall, monotonic);
            return Reading { now: wall, doubt: None };
        }
        let seconds = apart(wall, anchored).as_secs();
        Reading {
            now: anchored,
            doubt: Some(format!("the clock jumped by {seconds} s and no sample confirms it")),
        }
    }
}

fn apart(a: Timestamp, b: Timestamp) -> Duration {
    a.since(b).max(b.since(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(45);

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn small_corrections_are_followed() {
        let mut time = TrustedTime::new(seconds(1000), at(0));
        let reading = time.read(seconds(1012), at(10), Some(seconds(1011)), AGE);
        assert_eq!(reading, Reading { now: seconds(1012), doubt: None });
        assert_eq!(time.read(seconds(1022), at(20), None, AGE).now, seconds(1022));
    }

    #[test]
    fn a_jump_that_no_sample_confirms_is_not_followed() {
        for jumped in [1010 + 86_400, 1010 - 86_400] {
            let mut time = TrustedTime::new(seconds(1000), at(0));
            let reading = time.read(seconds(jumped), at(10), Some(seconds(1009)), AGE);
            assert_eq!(reading.now, seconds(1010));
            assert!(reading.doubt.unwrap().contains("jumped by 86400 s"));
            // Still not, ten seconds later; and without samples neither.
            let reading = time.read(seconds(jumped + 10), at(20), None, AGE);
            assert!(reading.now == seconds(1020) && reading.doubt.is_some());
        }
    }

    #[test]
    fn a_jump_that_samples_confirm_is_followed() {
        let mut time = TrustedTime::new(seconds(1000), at(0));
        let reading = time.read(seconds(5000), at(10), Some(seconds(4990)), AGE);
        assert_eq!(reading, Reading { now: seconds(5000), doubt: None });
    }

    #[test]
    fn a_jump_shorter_than_samples_may_be_old_is_followed_only_to_where_samples_are() {
        // Back and forth, with a fresh sample.
        for jumped in [970, 1050] {
            let mut time = TrustedTime::new(seconds(1000), at(0));
            let reading = time.read(seconds(jumped), at(10), Some(seconds(1009)), AGE);
            assert!(reading.now == seconds(1010) && reading.doubt.is_some(), "{reading:?}");
        }
        // The machine slept.
        let mut time = TrustedTime::new(seconds(1000), at(0));
        let reading = time.read(seconds(1040), at(10), Some(seconds(1035)), AGE);
        assert_eq!(reading, Reading { now: seconds(1040), doubt: None });
    }

    #[test]
    fn old_samples_and_such_from_the_future_are_a_doubt() {
        for sample in [900, 1020] {
            let mut time = TrustedTime::new(seconds(1000), at(0));
            let reading = time.read(seconds(1010), at(10), Some(seconds(sample)), AGE);
            assert!(reading.now == seconds(1010) && reading.doubt.is_some());
        }
    }
}
