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
