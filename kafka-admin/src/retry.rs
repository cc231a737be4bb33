//! When to try again.

use std::time::Duration;

/// How often one call is tried at most, the first time included.
pub(crate) const ATTEMPTS: u32 = 6;

/// Exponential back-off with full jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// Upper bound of the first pause; doubles with every attempt.
    pub(crate) base: Duration,
    /// Upper bound of any pause.
    pub(crate) cap: Duration,
}

impl Backoff {
    /// The pause after the given failed attempt (from 0); `random` is a draw from `0.0..1.0`.
    pub(crate) fn pause(&self, attempt: u32, random: f64) -> Duration {
        let bound = self.base.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.cap);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn pauses_grow_to_the_cap_and_no_further(attempt in 0_u32..200, random in 0.0..1.0) {
            let backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(1) };
            let pause = backoff.pause(attempt, random);
            proptest::prop_assert!(pause <= backoff.cap);
            proptest::prop_assert!(attempt > 3 || pause <= backoff.base * (1 << attempt));
        }
    }
}
