//! Each notation with what it refuses.

use std::time::Duration;

use proptest::prelude::*;
use quota_enforcer_core::policy::Confirm;

use super::quantity::LONGEST_MS;
use super::*;

#[test]
fn amounts_say_what_they_count_in() {
    for (text, value, unit, per_broker) in [
        ("30MB/s", 3e7, Unit::Bytes, false),
        ("512 KiB/s", 524_288.0, Unit::Bytes, false),
        ("1.5GiB/s per broker", 1_610_612_736.0, Unit::Bytes, true),
        ("150%", 150.0, Unit::Percent, false),
        ("150% per broker", 150.0, Unit::Percent, true),
        ("20% of broker", 0.2, Unit::OfBroker, false),
        ("100% of cluster", 1.0, Unit::OfCluster, false),
        ("3x baseline", 3.0, Unit::Baseline, false),
        ("0.25", 0.25, Unit::Plain, false),
    ] {
        assert_eq!(Amount::parse(text), Some(Amount { value, unit, per_broker }), "{text}");
    }
    for text in [
        "",
        "0",
        "0MB/s",
        "-1MB/s",
        "1e3",
        "inf",
        ".5",
        "5.",
        "1.2.3",
        "5MB",
        "5Mb/s",
        "5mb/s",
        "101% of broker",
        "20% of broker per broker",
        "3x baseline per broker",
        "3 per broker",
        "20% of the broker",
        "3x",
        "%",
        "5MB/sper broker",
        "１MB/s",
    ] {
        assert_eq!(Amount::parse(text), None, "{text}");
    }
}

#[test]
fn floors_are_bounds_multiples_or_both() {
    let read = |text: &str| {
        let least = Least::parse(text)?;
        Some((least.bound.map(|bound| bound.value), least.times_baseline))
    };
    assert_eq!(read("1MB/s"), Some((Some(1e6), None)));
    assert_eq!(read("10% per broker"), Some((Some(10.0), None)));
    assert_eq!(read("0.5x baseline"), Some((None, Some(0.5))));
    assert_eq!(read("1MB/s and 0.5x baseline"), Some((Some(1e6), Some(0.5))));
    for text in [
        "5",
        "20% of cluster",
        "20% of broker and 2x baseline",
        "1x baseline and 1MB/s",
        "1MB/s and 2MB/s",
        "1MB/s and 2x baseline and 1MB/s",
        "1MB/s and ",
        " and 1x baseline",
        "1x baseline and 2x baseline",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn scalars_out_of_range_are_refused() {
    for text in ["", "0s", "5", "-5m", "5s5m", "5m5m", "1.5h", "101y", "18446744073709551615y", "s", "5 m"] {
        assert_eq!(Time::parse(text), None, "{text}");
    }
    for text in ["0%", "101%", "0.5", "5 percent"] {
        assert_eq!(Share::parse(text), None, "{text}");
    }
    for text in ["0", "100001", "+1", "1.0", "", "99999999999"] {
        assert_eq!(Count::parse(text), None, "{text}");
    }
    for text in ["3", "3of5", "0 of 3", "3 of 65", "3 of", "a of b"] {
        assert_eq!(Confirm::parse(text), None, "{text}");
    }
    for text in ["1", "1MB/s", "0B", "1KB"] {
        assert_eq!(Bytes::parse(text), None, "{text}");
    }
    for text in ["", ".", "..", "a b", "ä"] {
        assert_eq!(Topic::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn times_are_read_back(ms in 1..=LONGEST_MS) {
        let time = Time(Duration::from_millis(ms));
        prop_assert_eq!(Time::parse(&time.to_string()), Some(time));
    }

    #[test]
    fn amounts_are_read_back(whole in 1_u32.., eighths in 0_u32..8, unit in 0..6, per_broker: bool) {
        let value = f64::from(whole) + f64::from(eighths) / 8.0;
        let unit = [Unit::Bytes, Unit::Percent, Unit::OfBroker, Unit::OfCluster, Unit::Baseline, Unit::Plain][unit as usize];
        let share = matches!(unit, Unit::OfBroker | Unit::OfCluster);
        let value = if share { value / f64::from(u32::MAX) / 2.0 } else { value };
        let amount = Amount { value, unit, per_broker: per_broker && matches!(unit, Unit::Bytes | Unit::Percent) };
        let read = Amount::parse(&amount.to_string()).unwrap();
        prop_assert!((read.value - value).abs() <= 1e-12 * value, "{} {}", read.value, value);
        prop_assert_eq!((read.unit, read.per_broker), (amount.unit, amount.per_broker));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,12}|[0-9.]{1,4} ?(%|MB/s|x baseline|% of broker|s|m)( per broker)?") {
        let _ = (Amount::parse(&text), Time::parse(&text), Share::parse(&text), Confirm::parse(&text), Bytes::parse(&text));
        let _ = (Url::parse(&text), Topic::parse(&text), LabelName::parse(&text), Line::parse(&text));
    }
}
