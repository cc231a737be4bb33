//! Numbers as Go prints them, so that generated rules are equal to Sloth's digit by digit.
//!
//! Go and Rust both print the shortest decimal that reads back as the same `f64`; they differ only in when the exponent
//! form begins and in how the exponent is written.

/// `%g` and `%v` of Go: shortest digits; exponent form below 1e-4 and from 1e6 on, the exponent with its sign and at
/// least two digits.
///
/// (The limit of 21 digits that Go's JSON encoder has does not apply here: `fmt` writes 1,000,000 as `1e+06`.)
///
/// ```
/// use slo_engine_core::number::general;
/// assert_eq!(general(99.9_f64 / 100.0), "0.9990000000000001");
/// assert_eq!(general((100.0_f64 - 99.999) / 100.0), "1.0000000000047748e-05");
/// assert_eq!(general(1_234_567.0), "1.234567e+06");
/// ```
#[must_use]
pub fn general(value: f64) -> String {
    if let Some(word) = not_finite(value) {
        return word.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// `strconv.FormatFloat(value, 'f', -1, 64)` of Go: shortest digits, never an exponent.
#[must_use]
pub fn plain(value: f64) -> String {
    not_finite(value).map_or_else(|| format!("{value}"), str::to_owned)
}

/// `%f` of Go: six decimals.
#[must_use]
pub fn fixed(value: f64) -> String {
    not_finite(value).map_or_else(|| format!("{value:.6}"), str::to_owned)
}

fn not_finite(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("+Inf")
    } else if value == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bits of the number, then what Go 1.26 prints with `%g`, `FormatFloat 'f' -1` and `%f`.
    const PRINTED_BY_GO: &str = include_str!("../testdata/floats.tsv");

    #[test]
    fn prints_what_go_prints() {
        for line in PRINTED_BY_GO.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let value = f64::from_bits(u64::from_str_radix(fields[0], 16).unwrap());
            assert_eq!(general(value), fields[1], "{line}");
            assert_eq!(plain(value), fields[2], "{line}");
            assert_eq!(fixed(value), fields[3], "{line}");
        }
    }

    #[test]
    fn names_what_is_no_number() {
        assert_eq!(general(f64::NAN), "NaN");
        assert_eq!(plain(f64::INFINITY), "+Inf");
        assert_eq!(fixed(f64::NEG_INFINITY), "-Inf");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(general(value).parse::<f64>().unwrap().to_bits(), bits);
            prop_assert_eq!(plain(value).parse::<f64>().unwrap().to_bits(), bits);
            prop_assert!(!plain(value).contains('e'));
        }
    }
}
