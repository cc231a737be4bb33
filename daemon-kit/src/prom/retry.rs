//! When to try again.

use std::time::Duration;

/// Bounded exponential back-off with full jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Further attempts after the first.
    pub attempts: u32,
    /// Upper bound of the first pause; doubles with every attempt.
    pub base: Duration,
    /// Upper bound of any pause, a server's `Retry-After` included.
    pub cap: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 3, base: Duration::from_millis(200), cap: Duration::from_secs(10) }
    }
}

impl Retries {
    /// The pause before the given further attempt (from 0), or `None` when there is none left.
    ///
    /// `random` is a draw from `0.0..1.0`; `retry_after` is what the server asked for.
    #[must_use]
    pub fn pause(&self, attempt: u32, random: f64, retry_after: Option<Duration>) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let bound = self.base.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.cap);
        let jittered = bound.mul_f64(random.clamp(0.0, 1.0));
        Some(retry_after.map_or(jittered, |asked| asked.min(self.cap).max(jittered)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_ask_for_more_time_but_not_for_ever() {
        let retries = Retries::default();
        assert_eq!(retries.pause(0, 0.5, Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(retries.pause(0, 0.5, Some(Duration::from_secs(3_600))), Some(retries.cap));
        assert_eq!(retries.pause(3, 0.5, Some(Duration::from_secs(1))), None);
    }

    proptest::proptest! {
        #[test]
        fn pauses_stay_within_their_bounds(attempt in 0_u32..100, random in 0.0..1.0) {
            let retries = Retries { attempts: 100, ..Retries::default() };
            let pause = retries.pause(attempt, random, None).unwrap();
            proptest::prop_assert!(pause <= retries.cap);
            proptest::prop_assert!(attempt > 5 || pause <= retries.base * (1 << attempt));
        }
    }
}
