//! Prometheus durations: `5m`, `1h30m`, `4w`.

use std::fmt;

/// A non-negative duration in milliseconds that prints as Prometheus prints it: the largest exact units, with weeks and
/// years only when nothing is left over (28 days print as `4w`, 30 days as `30d`).
///
/// Source of the format: `model.Duration` of prometheus/common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromDuration(u64);

/// A text that is no Prometheus duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing was written.
    #[error("empty duration string")]
    Empty,
    /// Wrong unit, wrong order of units, or no unit.
    #[error("not a valid duration, write numbers with the units y w d h m s ms in this order, such as 1h30m")]
    Invalid,
    /// More than 292 years.
    #[error("duration out of range")]
    Overflow,
}

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Largest duration that Prometheus holds (nanoseconds in an `i64`), in milliseconds.
const MAX_MS: u64 = i64::MAX as u64 / 1_000_000;

impl PromDuration {
    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// From seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s * 1_000)
    }

    /// From days of 24 hours.
    #[must_use]
    pub const fn from_days(d: u64) -> Self {
        Self(d * 86_400_000)
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// In seconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "exact below 285,000 years")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// In hours, as Go's `Duration.Hours()` computes it: whole hours plus the rest over 3.6e12 ns.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "exact below 285,000 years")]
    pub fn as_hours_f64(self) -> f64 {
        let hours = self.0 / 3_600_000;
        let rest_ns = (self.0 % 3_600_000) * 1_000_000;
        hours as f64 + rest_ns as f64 / 3.6e12
    }

    /// True for `0s`.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Parses Prometheus' notation: `0`, or numbers with units from large to small, each at most once.
    ///
    /// ```
    /// use slo_engine_core::PromDuration;
    /// assert_eq!(PromDuration::parse("1h30m").unwrap().as_millis(), 5_400_000);
    /// assert_eq!(PromDuration::parse("28d").unwrap().to_string(), "4w");
    /// ```
    ///
    /// # Errors
    /// [`DurationError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        match text {
            "" => return Err(DurationError::Empty),
            "0" => return Ok(Self(0)),
            _ => {}
        }
        let mut rest = text;
        let mut units = UNITS.iter();
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            if number.is_empty() {
                return Err(DurationError::Invalid);
            }
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let (_, ms) = units.find(|(name, _)| *name == unit).ok_or(DurationError::Invalid)?;
            let number: u64 = number.parse().map_err(|_| DurationError::Overflow)?;
            total = number
                .checked_mul(*ms)
                .and_then(|part| total.checked_add(part))
                .filter(|sum| *sum <= MAX_MS)
                .ok_or(DurationError::Overflow)?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut ms = self.0;
        for (unit, size) in UNITS {
            // Years and weeks only when exact.
            let exact_only = matches!(unit, "y" | "w");
            if exact_only && !ms.is_multiple_of(size) {
                continue;
            }
            let count = ms / size;
            if count > 0 {
                write!(f, "{count}{unit}")?;
                ms -= count * size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_prometheus_prints() {
        for (given, printed) in [
            ("28d", "4w"),
            ("7d", "1w"),
            ("30d", "30d"),
            ("365d", "1y"),
            ("90m", "1h30m"),
            ("24h", "1d"),
            ("5m29s999ms", "5m29s999ms"),
            ("0", "0s"),
            ("0s", "0s"),
            ("8d", "8d"),
            ("372d", "372d"),
        ] {
            assert_eq!(PromDuration::parse(given).unwrap().to_string(), printed, "{given}");
        }
    }

    #[test]
    fn rejects_what_prometheus_rejects() {
        for bad in ["", "5", "m", "5m5m", "5s5m", "-5m", "5 m", "1.5h", "5M", "٣m"] {
            assert!(PromDuration::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(PromDuration::parse("300y"), Err(DurationError::Overflow));
    }

    proptest::proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(ms in 0..=MAX_MS) {
            let duration = PromDuration::from_millis(ms);
            proptest::prop_assert_eq!(PromDuration::parse(&duration.to_string()), Ok(duration));
        }
    }
}
