//! What a limit over all brokers means on each of them.
//!
//! Kafka applies a quota on each broker by itself, so a limit over the cluster becomes one bound that every broker gets.

use std::collections::BTreeMap;

use crate::usage::BrokerId;

/// The bound `T` with Σ min(rate, T) = `limit` over the brokers that a client uses: brokers below it keep their rate, the
/// others share what is left evenly. In the unit of `limit` and the rates.
///
/// `None` when the rates sum to no more than the limit, so that no bound is needed, and when one of the numbers is none:
/// what is not known leads to no bound.
#[must_use]
pub fn per_broker(limit: f64, rates: &BTreeMap<BrokerId, f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = rates.values().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let sum: f64 = sorted.iter().sum();
    if !sum.is_finite() || sorted.iter().any(|rate| *rate < 0.0) || !(limit >= 0.0 && sum > limit) {
        return None;
    }
    let mut left = limit;
    let mut brokers = sorted.len();
    for rate in sorted {
        let level = left / brokers as f64;
        if rate >= level {
            return Some(level);
        }
        left -= rate;
        brokers -= 1;
    }
    // Only rounding leads here: the sum exceeds the limit by less than a unit in the last place.
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rates(values: &[f64]) -> BTreeMap<BrokerId, f64> {
        (0..).zip(values.iter().copied()).collect()
    }

    #[test]
    fn brokers_below_the_bound_keep_their_rate() {
        assert_eq!(per_broker(90.0, &rates(&[100.0, 100.0, 100.0])), Some(30.0));
        assert_eq!(per_broker(90.0, &rates(&[10.0, 100.0, 100.0])), Some(40.0));
        assert_eq!(per_broker(90.0, &rates(&[0.0, 10.0, 500.0])), Some(80.0));
        assert_eq!(per_broker(0.0, &rates(&[1.0])), Some(0.0));
    }

    #[test]
    fn no_bound_where_none_is_needed_or_known() {
        assert_eq!(per_broker(90.0, &rates(&[30.0, 60.0])), None);
        assert_eq!(per_broker(90.0, &rates(&[])), None);
        for wrong in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(per_broker(90.0, &rates(&[wrong, 100.0])), None);
            assert_eq!(per_broker(wrong, &rates(&[100.0])), None);
        }
    }

    proptest! {
        #[test]
        fn the_bound_lets_the_limit_through(values in proptest::collection::vec(0.0..1e9f64, 0..40), limit in 0.0..4e9f64) {
            let sum: f64 = values.iter().sum();
            let highest = values.iter().copied().fold(0.0, f64::max);
            match per_broker(limit, &rates(&values)) {
                Some(bound) => {
                    let through: f64 = values.iter().map(|rate| rate.min(bound)).sum();
                    prop_assert!((through - limit).abs() <= 1e-9 * limit.max(1.0), "{} of {}", through, limit);
                    prop_assert!(bound <= highest && bound >= limit / values.len() as f64 * (1.0 - 1e-9));
                }
                None => prop_assert!(sum <= limit * (1.0 + 1e-12)),
            }
        }

        #[test]
        fn a_higher_limit_is_never_a_lower_bound(values in proptest::collection::vec(0.0..1e9f64, 1..20), limit in 0.0..1e9f64, more in 1.0..2.0f64) {
            if let Some(higher) = per_broker(limit * more, &rates(&values)) {
                let lower = per_broker(limit, &rates(&values));
                prop_assert!(lower.is_some_and(|lower| lower <= higher * (1.0 + 1e-9)));
            }
        }
    }
}
