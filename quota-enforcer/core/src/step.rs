//! How far a bound may be cut at once: the mute bound.
//!
//! A broker that finds a sensor above its bound `T` mutes the connection that sent the request for
//! `(O − T)/T · W = S/T − W`, where `O` is the sensor's rate, `W` the time that it looks back and `S = O·W` the bytes in it
//! (Kafka's `QuotaUtils.throttleTime`; unbounded for bytes). The mute is fixed when it is handed out, and neither raising
//! nor removing the quota shortens it. So the bytes `S` must be bounded before the cut.
//!
//! # The window
//! `Rate.windowSize` divides by no less than `num − 1` full samples. Since samples that overlap the window are kept
//! (`SampledStat.purgeObsoleteSamples`), a sample lives until its last event is `num · size` old, and it is less than `size`
//! longer than that: `W` and the age of any byte in the sensor stay below `(num + 1) · size`. With `Wₛ` and `Wₗ` for these
//! two and `δ = Wₗ − Wₛ`, every mute lies between `S/T − Wₗ` and `S/T − Wₛ`.
//!
//! # The bytes
//! The textbook form `T ≥ (O·W + B)/(W + M)` lets the connections add `B` (one request each) once. They add it more than
//! once: what was sent in one burst leaves the window only after `Wₗ`, and a connection whose mute is shorter than that
//! comes back, adds a request, and is muted for longer. How often can they?
//!
//! Take a moment when the sensor holds `S₀`, and let `λ = max(0, S₀/T − Wₗ)`. When `a` bytes were added since, each further
//! request mutes its connection for at least `λ + a/T` (with `S₀` raised to `T·Wₗ` where it is less, which costs nothing: up
//! to there nobody needs to be muted). Of the requests within `Wₗ`, all but the last of each connection wait out their mutes
//! within `Wₗ`. For `n` connections with requests of up to `B/n` bytes, the bytes `A` of those requests therefore obey
//! `∫₀ᴬ (λ + a/T) da ≤ B·Wₗ`, that is `A/T ≤ √(λ² + 2bWₗ) − λ` with `b = B/T`, and the last ones add `B`. So no mute exceeds
//!
//! ```text
//! S₀/T + b + A/T − Wₛ  =  δ + b + √(λ² + 2bWₗ)
//! ```
//!
//! If there is no moment within `Wₗ` at which `S ≤ T·Wₗ`, take the one with the least `ν = S/T − Wₗ`. Every mute is at least
//! `ν`, so the sensor holds at most `B·(1 + Wₗ/ν)` and at least `T·(Wₗ + ν)`: `ν ≤ b`. This stands for `λ` where it is more.
//!
//! A bound `P` that stood before the cut holds the sensor in the same way, whatever the client did since the last scrape:
//! `S ≤ P·Wₗ + B + P·√(b'² + 2b'Wₗ)` with `b' = B/P`. Both forms are taken, and the worse one counts.
//!
//! # What is assumed
//! `peak · Wₗ` bounds the bytes in the sensor when the first bound takes effect. A client that grows faster than it is
//! scraped breaks that: what it can grow by until then belongs into `peak`. A bound that takes effect much later than it was
//! decided (its request may take 5 s, and brokers forward it for up to 90 s when the controller dies) is not covered, if the
//! client has grown meanwhile. And `B` must be true: connections of the entity to one broker, times the bytes of one request
//! or fetch response.

use std::time::Duration;

use crate::policy::Burst;
use crate::quota::Key;

/// The part of the bound that [`Safety::floor`] uses: what is left lets steps arrive there instead of creeping up to it.
const FLOOR_SHARE: f64 = 0.95;

/// How far a broker's quota sensors look back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Nothing older than this is in a sensor.
    pub longest: Duration,
    /// A rate is never taken over less than this.
    pub shortest: Duration,
}

impl Window {
    /// Of a broker with these `quota.window.num` and `quota.window.size.seconds`.
    #[must_use]
    pub fn new(num: u32, size: Duration) -> Self {
        Self { longest: size * num.saturating_add(1), shortest: size * num.saturating_sub(1) }
    }

    /// One that is right for all of these brokers; `None` without any.
    #[must_use]
    pub fn worst(windows: impl IntoIterator<Item = Self>) -> Option<Self> {
        windows
            .into_iter()
            .reduce(|a, b| Self { longest: a.longest.max(b.longest), shortest: a.shortest.min(b.shortest) })
    }
}

/// What every step has to respect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Safety {
    /// Of the brokers.
    pub window: Window,
    /// What the client's connections to one broker can add at once.
    pub burst: Burst,
    /// No connection is muted for longer.
    pub bound: Duration,
}

/// The next bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// In the key's unit, as Kafka takes it.
    pub to: f64,
    /// This is as low as it gets: the target, or the lowest that is safe.
    pub last: bool,
    /// The longest mute that it may cause.
    pub mute: Duration,
}

impl Safety {
    /// The longest mute that a bound of `to` may cause on a broker whose sensor shows at most `peak` when it takes effect,
    /// and where the bound `standing` held until then for at least the longest window; all in bytes a second.
    /// [`Duration::MAX`] when a number is none.
    #[must_use]
    pub fn mute(&self, peak: f64, standing: Option<f64>, to: f64) -> Duration {
        // A mute is rounded to milliseconds, so are the times at which connections come back.
        let mute = (self.mute_seconds(peak, standing, to) * 1000.0).ceil() / 1000.0;
        Duration::try_from_secs_f64(mute).unwrap_or(Duration::MAX)
    }

    fn mute_seconds(&self, peak: f64, standing: Option<f64>, to: f64) -> f64 {
        let standing = standing.unwrap_or(to).max(to);
        let positive = to > 0.0 && to.is_finite() && standing.is_finite();
        if !(positive && peak >= 0.0 && self.burst.bytes() >= 0.0) {
            return f64::INFINITY;
        }
        let longest = self.window.longest.as_secs_f64();
        let jitter = longest - self.window.shortest.as_secs_f64();
        // Seconds that the bound takes to let one request of every connection pass.
        let burst = self.burst.bytes() / to;
        let excess = (peak / to - 1.0).max(0.0) * longest;
        let returns = |floor: f64, burst: f64| (floor.max(burst).powi(2) + 2.0 * burst * longest).sqrt();
        let from_peak = returns(excess, burst);
        let ratio = standing / to;
        let from_standing = (ratio - 1.0) * longest + ratio * returns(0.0, self.burst.bytes() / standing);
        jitter + burst + from_peak.max(from_standing)
    }

    /// The lowest bound that keeps every mute within bounds; infinite when none does. In bytes a second.
    #[must_use]
    pub fn lowest_safe(&self, peak: f64, standing: Option<f64>) -> f64 {
        let safe = |to: f64| self.mute(peak, standing, to) <= self.bound;
        // Here the sensor is below the bound, and bursts alone are within bounds.
        let mut high = peak.max(standing.unwrap_or(0.0)).max(self.floor_for(1.0)).max(f64::MIN_POSITIVE);
        // The sums that make it safe are rounded.
        high *= 1.0 + 1e-9;
        if !(high.is_finite() && safe(high)) {
            return f64::INFINITY;
        }
        let mut low = 0.0;
        while high - low > high * 1e-9 {
            let middle = low + (high - low) / 2.0;
            if safe(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }

    /// Where repeated steps end: below it the client's own bursts mute it for longer than the bound, however slowly it got
    /// there. Infinite when no bound is safe. In bytes a second.
    #[must_use]
    pub fn floor(&self) -> f64 {
        self.floor_for(FLOOR_SHARE)
    }

    /// `δ + b + √(b² + 2bWₗ) ≤ M` solved for `T = B/b`, with a share of the bound for `M`.
    fn floor_for(&self, share: f64) -> f64 {
        let longest = self.window.longest.as_secs_f64();
        // Half a millisecond is what rounding a mute can add.
        let left =
            share * (self.bound.as_secs_f64() - 0.001) - (longest - self.window.shortest.as_secs_f64());
        if !(left > 0.0 && self.burst.bytes() >= 0.0) {
            return f64::INFINITY;
        }
        self.burst.bytes() * 2.0 * (longest + left) / (left * left)
    }
}

/// The next bound on the way to `target`: as low as is safe, neither below `target`, the rule's `floor` and
/// [`Safety::floor`], nor above what stands. `peak` and `standing` are as for [`Safety::mute`]; wait at least the longest window
/// between two steps. `None` when no bound is known to be safe: nothing may be cut.
///
/// A throttle of request time is bounded by the broker itself, to one sample of the window, so it goes to the target at
/// once.
#[must_use]
pub fn next(
    peak: f64,
    standing: Option<f64>,
    target: f64,
    floor: f64,
    safety: &Safety,
    key: Key,
) -> Option<Step> {
    if [peak, target, floor].iter().chain(&standing).any(|value| !value.is_finite()) {
        return None;
    }
    let stands = standing.unwrap_or(f64::INFINITY);
    if key.mute_is_bounded_by_broker() {
        let to = key.rounded(target.max(floor)).min(stands);
        let window = safety.window;
        return Some(Step { to, last: true, mute: window.longest.saturating_sub(window.shortest) });
    }
    // Rounded up: below the safe bound is never safe.
    let goal = key.rounded(target.max(floor).max(safety.floor()).ceil());
    let safe = key.rounded(safety.lowest_safe(peak, standing).ceil());
    let to = goal.max(safe).min(stands);
    if !to.is_finite() {
        return None;
    }
    Some(Step { to, last: to <= goal, mute: safety.mute(peak, standing, to) })
}

#[cfg(test)]
mod tests;
