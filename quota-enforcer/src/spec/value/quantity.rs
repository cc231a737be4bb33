//! Durations, sizes, shares, numbers, thresholds.

use std::fmt;
use std::time::Duration;

use quota_enforcer_core::policy::Confirm;

use super::Value;

/// A duration above zero in Prometheus' notation, at most a hundred years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) Duration);

const TIME_UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
pub(super) const LONGEST_MS: u64 = 100 * 365 * 86_400_000;

impl Value for Time {
    const WHAT: &'static str = "duration above zero";
    const HELP: &'static str =
        "write numbers with the units y w d h m s ms in this order, such as `30s`, `1h30m` or `4w`";

    fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut units = TIME_UNITS.iter();
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let (_, size) = units.find(|(name, _)| *name == unit)?;
            let part = number.parse::<u64>().ok()?.checked_mul(*size)?;
            total = total.checked_add(part).filter(|total| *total <= LONGEST_MS)?;
            rest = tail;
        }
        (total > 0).then(|| Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in TIME_UNITS {
            // Weeks and years only when nothing is left over: 30d, not 4w2d.
            if matches!(unit, "y" | "w") && !left.is_multiple_of(size) {
                continue;
            }
            if left >= size {
                write!(f, "{}{unit}", left / size)?;
                left %= size;
            }
        }
        Ok(())
    }
}

/// Digits with at most one point; no sign, no exponent.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let closed = |edge: Option<u8>| edge.is_some_and(|byte| byte.is_ascii_digit());
    (plain && closed(text.bytes().next()) && closed(text.bytes().last()))
        .then(|| text.parse().ok())
        .flatten()
        .filter(|number: &f64| number.is_finite())
}

/// A number and the text after it.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((number(digits)?, rest.trim_start()))
}

const BYTE_UNITS: [(&str, f64); 9] = [
    ("TiB", 1_099_511_627_776.0),
    ("GiB", 1_073_741_824.0),
    ("MiB", 1_048_576.0),
    ("KiB", 1_024.0),
    ("TB", 1e12),
    ("GB", 1e9),
    ("MB", 1e6),
    ("kB", 1e3),
    ("B", 1.0),
];

/// Bytes, above zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bytes(pub(crate) f64);

impl Value for Bytes {
    const WHAT: &'static str = "number of bytes above zero";
    const HELP: &'static str = "write it with a unit of B, kB, MB, GB, KiB, MiB or GiB, such as `1MiB`";

    fn parse(text: &str) -> Option<Self> {
        let (value, unit) = split(text)?;
        let (_, size) = BYTE_UNITS.iter().find(|(name, _)| *name == unit)?;
        (value > 0.0).then_some(Self(value * size))
    }
}

/// A share, above 0 and up to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

impl Value for Share {
    const WHAT: &'static str = "share above 0% and up to 100%";
    const HELP: &'static str = "write it in percent, such as `20%`";

    fn parse(text: &str) -> Option<Self> {
        let (value, unit) = split(text)?;
        (unit == "%" && value > 0.0 && value <= 100.0).then_some(Self(value / 100.0))
    }
}

/// What a threshold or limit counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// `B/s`
    Bytes,
    /// `%` of one request or network thread.
    Percent,
    /// `% of broker`
    OfBroker,
    /// `% of cluster`
    OfCluster,
    /// `x baseline`
    Baseline,
    /// Whatever a query yields.
    Plain,
}

/// A threshold or limit, above zero: bytes a second, percent, a share (0 to 1), a multiple, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Amount {
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    /// On each broker, not over all of them.
    pub(crate) per_broker: bool,
}

impl Value for Amount {
    const WHAT: &'static str = "amount above zero";
    const HELP: &'static str = "write bytes as `30MB/s` or `30MB/s per broker`, request time as `150%` or `150% per broker`, a share as `20% of broker` or `20% of cluster`, a multiple as `3x baseline`";

    fn parse(text: &str) -> Option<Self> {
        let (text, per_broker) = match text.strip_suffix("per broker") {
            Some(rest) => (rest.strip_suffix(' ')?.trim_end(), true),
            None => (text, false),
        };
        let (value, unit) = split(text)?;
        let share = || (value <= 100.0 && !per_broker).then_some(value / 100.0);
        let words: Vec<&str> = unit.split_ascii_whitespace().collect();
        let (value, unit) = match words.as_slice() {
            [] if !per_broker => (value, Unit::Plain),
            ["%"] => (value, Unit::Percent),
            ["%", "of", "broker"] => (share()?, Unit::OfBroker),
            ["%", "of", "cluster"] => (share()?, Unit::OfCluster),
            ["x", "baseline"] if !per_broker => (value, Unit::Baseline),
            [unit] => {
                let unit = unit.strip_suffix("/s")?;
                let (_, size) = BYTE_UNITS.iter().find(|(name, _)| *name == unit)?;
                (value * size, Unit::Bytes)
            }
            _ => return None,
        };
        (value > 0.0).then_some(Self { value, unit, per_broker })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value;
        match self.unit {
            Unit::Bytes => {
                let whole = |(_, size): &&(&str, f64)| value >= *size && (value / size).fract() == 0.0;
                let (unit, size) = BYTE_UNITS.iter().find(whole).unwrap_or(&("B", 1.0));
                write!(f, "{}{unit}/s", value / size)?;
            }
            Unit::Percent => write!(f, "{value}%")?,
            Unit::OfBroker => write!(f, "{}% of broker", value * 100.0)?,
            Unit::OfCluster => write!(f, "{}% of cluster", value * 100.0)?,
            Unit::Baseline => write!(f, "{value}x baseline")?,
            Unit::Plain => write!(f, "{value}")?,
        }
        f.write_str(if self.per_broker { " per broker" } else { "" })
    }
}

/// What a throttle leaves a client: a bound, a multiple of its baseline, or both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Least {
    /// The lowest bound on any broker.
    pub(crate) bound: Option<Amount>,
    /// A multiple, over all brokers.
    pub(crate) times_baseline: Option<f64>,
}

impl Value for Least {
    const WHAT: &'static str = "floor";
    const HELP: &'static str = "write the lowest bound on any broker, as `1MB/s` or for request time as `10%`, a multiple as `0.5x baseline`, or both as `1MB/s and 0.5x baseline`";

    fn parse(text: &str) -> Option<Self> {
        let (bound, own) = match text.split_once(" and ") {
            Some((bound, own)) => {
                (Some(Amount::parse(bound.trim_end())?), Some(Amount::parse(own.trim_start())?))
            }
            None => match Amount::parse(text)? {
                own @ Amount { unit: Unit::Baseline, .. } => (None, Some(own)),
                bound => (Some(bound), None),
            },
        };
        let kinds = own.is_none_or(|own| own.unit == Unit::Baseline)
            && bound.is_none_or(|bound| matches!(bound.unit, Unit::Bytes | Unit::Percent));
        kinds.then(|| Self { bound, times_baseline: own.map(|own| own.value) })
    }
}

/// A plain number above zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

impl Value for Number {
    const WHAT: &'static str = "number above zero";
    const HELP: &'static str = "write it without a unit, such as `2` or `14.4`";

    fn parse(text: &str) -> Option<Self> {
        number(text).filter(|number| *number > 0.0).map(Self)
    }
}

/// A whole number from 1 to 100,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u32);

impl Value for Count {
    const WHAT: &'static str = "whole number from 1 to 100000";
    const HELP: &'static str = "write a whole number above 0";

    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let count = digits.then(|| text.parse().ok()).flatten()?;
        (1..=100_000).contains(&count).then_some(Self(count))
    }
}

impl Value for Confirm {
    const WHAT: &'static str = "k of n";
    const HELP: &'static str = "write `3 of 5`: so many of the last so many samples, at most 64";

    fn parse(text: &str) -> Option<Self> {
        let (k, n) = text.split_once(" of ")?;
        let (Count(k), Count(n)) = (Count::parse(k.trim())?, Count::parse(n.trim())?);
        (n <= 64).then_some(Self { k, n })
    }
}
