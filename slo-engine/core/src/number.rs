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
    let (mantissa, exponent) = shortest(value);
    if (-4..6).contains(&exponent) {
        return positional(&mantissa, exponent);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// `strconv.FormatFloat(value, 'f', -1, 64)` of Go: shortest digits, never an exponent.
#[must_use]
pub fn plain(value: f64) -> String {
    if let Some(word) = not_finite(value) {
        return word.to_owned();
    }
    let (mantissa, exponent) = shortest(value);
    positional(&mantissa, exponent)
}

/// `%f` of Go: six decimals.
#[must_use]
pub fn fixed(value: f64) -> String {
    not_finite(value).map_or_else(|| format!("{value:.6}"), str::to_owned)
}

/// Shortest mantissa (`1.25`, `-3`) and exponent. Where two shortest forms are equally near, Go takes the even one and
/// Rust the upper: rounding the exact value to as many digits settles it as Go does.
fn shortest(value: f64) -> (String, i32) {
    let upper = format!("{value:e}");
    let digits = upper.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let even = format!("{value:.*e}", digits.saturating_sub(1));
    let chosen = if even.parse() == Ok(value) { even } else { upper };
    let (mantissa, exponent) = chosen.split_once('e').unwrap_or((&chosen, "0"));
    (mantissa.to_owned(), exponent.parse().unwrap_or(0))
}

/// A mantissa with its exponent, written without one.
fn positional(mantissa: &str, exponent: i32) -> String {
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let places = exponent.unsigned_abs() as usize;
    if exponent < 0 {
        let zeros = "0".repeat(places - 1);
        return format!("{sign}0.{zeros}{whole}{fraction}");
    }
    let zeros = "0".repeat(places.saturating_sub(fraction.len()));
    let (before, after) = fraction.split_at(places.min(fraction.len()));
    let point = if after.is_empty() { "" } else { "." };
    format!("{sign}{whole}{before}{zeros}{point}{after}")
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
