//! What a rule may write: bounds, how low and how high they go.

use std::time::Duration;

use quota_enforcer_core::entity::Kind;
use quota_enforcer_core::policy::{Burst, Floor, Limit, Mode};
use quota_enforcer_core::quota::Key;
use quota_enforcer_core::step::{Safety, Window};
use quota_enforcer_core::usage::human;

use crate::spec::check::Check;
use crate::spec::file::Text;
use crate::spec::value::{Amount, Bytes, Count, Least, Time, Unit, Value as _};

/// A bound from here on limits nobody, in any key's unit.
pub(in crate::spec) const SENTINEL_FROM: f64 = 1_073_741_824.0;

/// The lowest bound on request time when the file names none: a tenth of a thread.
const REQUEST_FLOOR: f64 = 10.0;

/// The unit must be one of the key's, or one that any key has.
pub(super) fn fits(key: Key, unit: Unit) -> bool {
    match unit {
        Unit::Bytes => key != Key::RequestPercentage,
        Unit::Percent => key == Key::RequestPercentage,
        Unit::OfBroker | Unit::OfCluster | Unit::Baseline => true,
        Unit::Plain => false,
    }
}

pub(super) fn misfit(check: &mut Check<'_>, text: &Text, key: Key, help: &str) {
    let what = match key {
        Key::RequestPercentage => "request time",
        Key::ProducerByteRate => "produced bytes",
        Key::ConsumerByteRate => "consumed bytes",
    };
    check.error(text, "unit", format!("`{}` does not measure {what}", text.value), help);
}

pub(super) fn burst(key: Key, connections: Option<Count>, bytes: Option<Bytes>) -> Burst {
    // A broker empties a throttled fetch response and takes its bytes back, so the responses of a consumer's connections
    // do not add up; requests of producers do. Sizes are the clients' defaults.
    let (many, large) = match key {
        Key::ConsumerByteRate => (1, 50.0 * 1_048_576.0),
        _ => (20, 1_048_576.0),
    };
    Burst {
        connections: connections.map_or(many, |Count(count)| count),
        request_bytes: bytes.map_or(large, |Bytes(bytes)| bytes),
    }
}

/// What decides how low a bound may be.
pub(super) struct Safe {
    pub(super) key: Key,
    pub(super) burst: Burst,
    pub(super) mute: Duration,
}

impl Safe {
    /// The least bound at which the client's own bursts do not mute it for longer than the mute bound, on brokers with
    /// Kafka's default window: what the brokers really have is only known at run time. `None` where the broker bounds the
    /// mute.
    fn least(&self) -> Option<f64> {
        let Self { key, burst, mute: bound } = *self;
        let window = Window::new(11, Duration::from_secs(1));
        (!key.mute_is_bounded_by_broker())
            .then(|| Safety { window, burst, bound }.floor().ceil())
            .filter(|least| least.is_finite())
    }

    /// Warns of a bound that is lower, which will not be reached.
    fn compare(&self, check: &mut Check<'_>, text: &Text, name: &str, value: f64) {
        let Some(least) = self.least().filter(|least| value < *least) else { return };
        let message = format!(
            "{name} {} is below {}, where {} × {:.0} bytes at once pause a connection for up to {}",
            text.value,
            human(self.key, least),
            self.burst.connections,
            self.burst.request_bytes,
            Time(self.mute)
        );
        let help = "no broker's bound goes lower than that; `burst` says how many connections there are";
        check.warning(text, "mute", message, help);
    }
}

pub(super) fn floor(
    check: &mut Check<'_>,
    given: Option<(&Text, Least)>,
    enter: Option<Amount>,
    limit: Option<Amount>,
    safe: &Safe,
) -> Floor {
    let times_baseline = given.and_then(|(_, floor)| floor.times_baseline);
    let bound = given.and_then(|(text, floor)| Some((text, floor.bound?)));
    if let Some((text, bound)) = bound {
        if fits(safe.key, bound.unit) {
            safe.compare(check, text, "floor", bound.value);
            // No broker's bound goes below the floor, so neither does the sum over them.
            let below = |other: Option<Amount>| {
                other.filter(|other| other.unit == bound.unit && other.value < bound.value)
            };
            if let Some(enter) = below(enter) {
                let message = format!("floor {bound} is above enter {enter}: nobody is ever throttled");
                check.warning(text, "floor", message, "write a floor well below limit");
            } else if let Some(limit) = below(limit) {
                let message = format!("floor {bound} is above limit {limit}, which is never reached");
                check.warning(text, "floor", message, "write a floor well below limit");
            }
        } else {
            misfit(check, text, safe.key, Least::HELP);
        }
    }
    let bound = bound.map(|(_, bound)| bound.value).or_else(|| safe.least()).unwrap_or(REQUEST_FLOOR);
    Floor { bound, times_baseline }
}

pub(super) fn limit(
    check: &mut Check<'_>,
    (text, limit): (&Text, Amount),
    enter: Option<Amount>,
    safe: &Safe,
) -> Option<Limit> {
    if !fits(safe.key, limit.unit) || limit.unit == Unit::OfBroker {
        let help = match safe.key {
            Key::RequestPercentage => "write `50%`, `20% per broker`, `10% of cluster` or `1.5x baseline`",
            _ => "write `10MB/s`, `2MB/s per broker`, `10% of cluster` or `1.5x baseline`",
        };
        let kind = if limit.unit == Unit::OfBroker { "is no limit" } else { "is no limit of this measure" };
        check.error(text, "unit", format!("`{}` {kind}", text.value), help);
        return None;
    }
    if let Some(enter) = enter
        && (enter.unit, enter.per_broker) == (limit.unit, limit.per_broker)
        && limit.value > enter.value
    {
        let message = format!("limit {limit} is above enter {enter}: a client at its limit still is over");
        check.warning(text, "limit", message, "write a limit up to release");
    }
    if limit.unit == Unit::Bytes {
        safe.compare(check, text, "limit", limit.value);
    }
    Some(match limit.unit {
        Unit::OfCluster => Limit::ShareOfCluster(limit.value),
        Unit::Baseline => Limit::TimesBaseline(limit.value),
        _ if limit.per_broker => Limit::PerBroker(limit.value),
        _ => Limit::Total(limit.value),
    })
}

pub(super) fn sentinel(
    check: &mut Check<'_>,
    (text, sentinel): (&Text, Amount),
    key: Key,
    entity: Option<Kind>,
    mode: Mode,
) -> f64 {
    let help = "write a rate that nobody reaches, such as `1TiB/s`, or for request time `2000000000%`";
    if !matches!(sentinel.unit, Unit::Bytes | Unit::Percent)
        || sentinel.per_broker
        || !fits(key, sentinel.unit)
    {
        misfit(check, text, key, help);
    } else if sentinel.value < SENTINEL_FROM {
        let message = format!("sentinel {sentinel} could bind a client: it is below 2^30");
        check.error(text, "sentinel", message, help);
    }
    if entity == Some(Kind::Pair) {
        let message =
            "a default for user and client id outranks every quota of users by default and of client ids";
        check.error(text, "sentinel", message, "measure by user or by client-id");
    }
    if mode == Mode::Observe {
        let message = "a rule that observes writes nothing, no sentinel either";
        check.warning(text, "sentinel", message, "set it by hand, or write mode: flag or mode: enforce");
    }
    sentinel.value
}
