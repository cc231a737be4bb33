//! Moments as people write them.

use jiff::Timestamp;
use slo_engine_core::PromDuration;

/// `--from` and `--to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long before now.
    Ago(PromDuration),
    /// Milliseconds since 1970.
    At(i64),
}

impl Moment {
    /// Reads `now`, a Prometheus duration (that long ago), RFC 3339, or seconds since 1970.
    ///
    /// # Errors
    /// A text that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Ago(PromDuration::from_millis(0)));
        }
        if let Ok(ago) = PromDuration::parse(text) {
            return Ok(Self::Ago(ago));
        }
        if let Ok(seconds) = text.parse::<u32>() {
            return Ok(Self::At(i64::from(seconds) * 1_000));
        }
        text.parse::<Timestamp>().map(|at| Self::At(at.as_millisecond())).map_err(|_| {
            "expected `now`, a duration before now such as 30d, a time such as 2026-11-24T12:00:00Z, or seconds since 1970"
                .to_owned()
        })
    }

    /// In milliseconds since 1970.
    #[must_use]
    pub fn resolve(self, now_ms: i64) -> i64 {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => i64::try_from(ago.as_millis()).map_or(0, |ago| now_ms.saturating_sub(ago)),
        }
    }
}

/// RFC 3339 without a fraction.
pub(super) fn shown(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms - at_ms.rem_euclid(1_000))
        .map_or_else(|_| format!("{at_ms} ms"), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form() {
        for (text, want) in [
            ("now", 1_000_000),
            ("10s", 990_000),
            ("1795491222", 1_795_491_222_000),
            ("2026-11-24T03:33:42Z", 1_795_491_222_000),
            ("2026-11-24T04:33:42.5+01:00", 1_795_491_222_500),
        ] {
            assert_eq!(Moment::parse(text).unwrap().resolve(1_000_000), want, "{text}");
        }
        for text in ["", "yesterday", "-5m", "2026-11-24"] {
            assert!(Moment::parse(text).is_err(), "{text}");
        }
        assert_eq!(shown(1_795_491_222_999), "2026-11-24T03:33:42Z");
    }
}
