//! Laws of counting, and agreement with the rules' text.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::PromDuration;
use crate::profile::lean::LeanOptions;
use crate::slo::{AlertMeta, NoData, OwnKeys, Query, Sli, Slo, SpecKind};
use crate::window::{Catalogue, PeriodWindows};

fn slo(error: &str, total: &str) -> Slo {
    Slo {
        id: "shop-checkout".into(),
        name: "checkout".into(),
        service: "shop".into(),
        description: String::new(),
        objective: 99.9,
        period: PromDuration::from_days(30),
        labels: BTreeMap::from([("team".into(), "pay".into())]),
        sli: Sli::Events { error: Query(error.into()), total: Query(total.into()) },
        page: Some(AlertMeta { name: "Checkout".into(), ..AlertMeta::default() }),
        ticket: None,
        spec: SpecKind::PrometheusV1,
        own: OwnKeys::default(),
    }
}

fn windows() -> PeriodWindows {
    Catalogue::built_in().for_period(PromDuration::from_days(30), false).unwrap()
}

fn blueprint() -> Blueprint {
    let slo = slo("sum(rate(e[{{.window}}]))", "sum(rate(t[{{.window}}]))");
    Blueprint::new(&slo, &windows(), &LeanOptions::default()).unwrap()
}

fn record<'a>(blueprint: &'a Blueprint, name: &str, label: Option<(&str, &str)>) -> &'a Record {
    let mut found = blueprint.records.iter().filter(|record| {
        record.name == name
            && label.is_none_or(|(key, value)| record.labels.get(key).is_some_and(|v| v == value))
    });
    let record = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "{name} is ambiguous");
    record
}

#[test]
fn queries_and_records_come_from_the_rules() {
    let blueprint = blueprint();
    let total = blueprint.total_query.as_deref().unwrap();
    assert!(total.contains("sum(rate(t[5m29s999ms]))"), "{total}");
    assert!(blueprint.error_query.contains("sum(rate(e[5m29s999ms]))"), "{}", blueprint.error_query);
    assert!(!blueprint.error_query.contains("slo:"), "{}", blueprint.error_query);
    promql_parser::parser::parse(&blueprint.error_query).unwrap();
    let names: Vec<String> = blueprint
        .records
        .iter()
        .map(|record| {
            let event = record.labels.get("sloth_event").map_or(String::new(), |event| format!(" {event}"));
            format!("{}{event}", record.name)
        })
        .collect();
    assert_eq!(
        names,
        [
            "slo:sli_events:increase5m total",
            "slo:sli_events:increase5m error",
            "slo:sli_events:increase5m covered",
            "slo:sli_error:ratio_rate5m",
            "slo:sli_events:tally total",
            "slo:sli_events:tally error",
            "slo:sli_events:tally covered",
            "slo:sli_error:ratio_rate30m",
            "slo:sli_error:ratio_rate1h",
            "slo:sli_error:ratio_rate6h",
            "slo:sli_events:born",
            "slo:sli_error:ratio_rate2h",
            "slo:sli_error:ratio_rate1d",
            "slo:sli_error:ratio_rate3d",
            "slo:sli_error:ratio_rate30d",
            "slo:objective:ratio",
            "slo:error_budget:ratio",
            "slo:time_period:days",
            "slo:current_burn_rate:ratio",
            "slo:period_burn_rate:ratio",
            "slo:period_error_budget_remaining:ratio",
            "sloth_slo_info",
        ]
    );
    let tally = record(&blueprint, "slo:sli_events:tally", Some(("sloth_event", "total")));
    let keys: Vec<&str> = tally.labels.keys().map(String::as_str).collect();
    assert_eq!(keys, ["sloth_event", "sloth_id", "sloth_service", "sloth_slo"]);
}

#[test]
fn of_a_direct_sli_the_seconds_are_counted() {
    let slo = slo("max(rate(e[{{.window}}]))", "sum(rate(t[{{.window}}]))");
    let blueprint = Blueprint::new(&slo, &windows(), &LeanOptions::default()).unwrap();
    assert_eq!(blueprint.total_query, None);
    assert!(blueprint.error_query.contains("max(rate(e[5m]))"), "{}", blueprint.error_query);
    assert!(!blueprint.error_query.contains("slo:"), "{}", blueprint.error_query);
    promql_parser::parser::parse(&blueprint.error_query).unwrap();
    let ratios: Vec<&str> = blueprint
        .records
        .iter()
        .filter_map(|record| record.name.strip_prefix("slo:sli_error:ratio_rate"))
        .collect();
    assert_eq!(ratios, ["5m", "30d"], "the others have their past in the raw series");
    let grid = Grid { start_ms: 0, step_ms: 30_000, len: 40 };
    let history = History::new(&blueprint, grid, BTreeMap::new(), Vec::new(), vec![30.0; 40]).unwrap();
    let period = record(&blueprint, "slo:sli_error:ratio_rate30d", None);
    assert!((history.value(period, 39).unwrap() - 0.1).abs() < 1e-12);
}

#[test]
fn idle_windows_count_as_the_mean_so_far() {
    for (no_data, errors) in [(NoData::Good, 10.0), (NoData::Bad, 110.0)] {
        let mut slo = slo("sum(rate(e[{{.window}}]))", "sum(rate(t[{{.window}}]))");
        slo.own.no_data = no_data;
        let blueprint = Blueprint::new(&slo, &windows(), &LeanOptions::default()).unwrap();
        for query in [blueprint.total_query.as_ref().unwrap(), &blueprint.error_query] {
            assert!(!query.contains("slo:"), "{query}");
            promql_parser::parser::parse(query).unwrap();
        }
        // One phase, one busy window, then an idle one.
        let grid = Grid { start_ms: 0, step_ms: 300_000, len: 2 };
        let history =
            History::new(&blueprint, grid, BTreeMap::new(), vec![100.0, 0.0], vec![10.0, 0.0]).unwrap();
        let at = |event| {
            history.value(record(&blueprint, "slo:sli_events:tally", Some(("sloth_event", event))), 1)
        };
        assert_eq!((at("total"), at("error")), (Some(200.0), Some(errors)));
        let never = History::new(&blueprint, grid, BTreeMap::new(), vec![0.0, 0.0], vec![0.0, 0.0]).unwrap();
        let total = record(&blueprint, "slo:sli_events:increase5m", Some(("sloth_event", "total")));
        assert_eq!(never.value(total, 0), Some(1.0));
    }
}

#[test]
fn the_grid_is_aligned_to_the_step() {
    let step = PromDuration::from_secs(30);
    let grid = Grid::aligned(1_000, 95_000, step).unwrap();
    assert_eq!((grid.start_ms, grid.len, grid.end_ms()), (30_000, 3, 90_000));
    assert_eq!(grid.index(60_000), Some(1));
    assert_eq!((grid.index(60_001), grid.index(0), grid.index(120_000)), (None, None, None));
    assert_eq!(Grid::aligned(1_000, 29_000, step), None);
    assert_eq!(Grid::aligned(0, 0, step).unwrap().len, 1);
    assert_eq!(Grid::aligned(0, 10, PromDuration::from_millis(0)), None);
}

#[test]
fn a_hole_is_held_and_not_covered() {
    let blueprint = blueprint();
    let grid = Grid { start_ms: 0, step_ms: 30_000, len: 100 };
    let mut total = vec![100.0; 100];
    for value in total.iter_mut().skip(40).take(20) {
        *value = f64::NAN;
    }
    let history = History::new(&blueprint, grid, BTreeMap::new(), total, vec![1.0; 100]).unwrap();
    let tally = |event| record(&blueprint, "slo:sli_events:tally", Some(("sloth_event", event)));
    let at = |event, index| history.value(tally(event), index).unwrap();
    assert_eq!(at("total", 39), at("total", 59));
    assert_eq!(at("total", 60), at("total", 39) + 100.0);
    assert!((at("covered", 99) - at("covered", 39) - 40.0 * 30.0).abs() < 300.1);
    let increase = record(&blueprint, "slo:sli_events:increase5m", Some(("sloth_event", "total")));
    assert_eq!(history.value(increase, 50), None);
    assert!((history.coverage() - 0.8).abs() < 1e-9);
}

#[test]
fn a_count_that_begins_inside_the_grid_begins_with_its_first_events() {
    let blueprint = blueprint();
    let grid = Grid { start_ms: 0, step_ms: 30_000, len: 31 };
    // Ten events a step, from the tenth step on: the base window of ten steps fills up.
    let total: Vec<f64> = (0..31_u32)
        .map(|step| if step < 10 { f64::NAN } else { f64::from((step - 9).min(10) * 10) })
        .collect();
    let history = History::new(&blueprint, grid, BTreeMap::new(), total, vec![0.0; 31]).unwrap();
    let tally = record(&blueprint, "slo:sli_events:tally", Some(("sloth_event", "total")));
    for step in 10..31_u32 {
        assert_eq!(history.value(tally, step as usize), Some(f64::from((step - 9) * 10)), "{step}");
    }
    assert_eq!(history.value(tally, 9), None);
}

#[test]
fn alert_windows_wait_for_coverage_and_the_period_does_not() {
    let blueprint = blueprint();
    let grid = Grid { start_ms: 0, step_ms: 30_000, len: 41 };
    let history = History::new(&blueprint, grid, BTreeMap::new(), vec![100.0; 41], vec![1.0; 41]).unwrap();
    let value = |name| history.value(record(&blueprint, name, None), 40);
    assert!((value("slo:sli_error:ratio_rate30m").unwrap() - 0.01).abs() < 1e-12);
    assert_eq!(value("slo:sli_error:ratio_rate1h"), None, "twenty minutes of an hour");
    assert!((value("slo:sli_error:ratio_rate30d").unwrap() - 0.01).abs() < 1e-12);
    assert!((value("slo:period_burn_rate:ratio").unwrap() - 10.0).abs() < 1e-9);
    assert!((value("slo:period_error_budget_remaining:ratio").unwrap() + 9.0).abs() < 1e-9);
    assert_eq!(value("slo:error_budget:ratio"), Some(1.0 - 99.9 / 100.0));
}

#[test]
fn the_count_is_fine_at_the_end_and_coarse_before() {
    let mut blueprint = blueprint();
    blueprint.fine = PromDuration::from_secs(600);
    let grid = Grid { start_ms: 30_000, step_ms: 30_000, len: 100 };
    let history = History::new(&blueprint, grid, BTreeMap::new(), vec![1.0; 100], vec![0.0; 100]).unwrap();
    let tally = record(&blueprint, "slo:sli_events:tally", Some(("sloth_event", "total")));
    let times: Vec<i64> = history.samples(tally).map(|(at, _)| at / 1_000).collect();
    assert_eq!(times[..4], [30, 300, 600, 900]);
    assert_eq!(times[times.len() - 21..], (0..21).map(|i| 2_400 + 30 * i).collect::<Vec<i64>>());
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 300), "every look-up finds a sample");
    let objective = record(&blueprint, "slo:objective:ratio", None);
    assert_eq!(history.samples(objective).count(), 11);
}

proptest! {
    /// With constant traffic between changes at base boundaries, every window equals the sum of its parts.
    #[test]
    fn windows_are_sums_of_their_base_windows(increases in prop::collection::vec(0_u32..1_000, 8..40)) {
        let blueprint = blueprint();
        // One phase only: the grid is the base.
        let grid = Grid { start_ms: 0, step_ms: 300_000, len: increases.len() };
        let total: Vec<f64> = increases.iter().map(|n| f64::from(*n)).collect();
        let error: Vec<f64> = total.iter().map(|n| n / 10.0).collect();
        let history = History::new(&blueprint, grid, BTreeMap::new(), total.clone(), error).unwrap();
        let ratio = record(&blueprint, "slo:sli_error:ratio_rate30m", None);
        let last = increases.len() - 1;
        let sum: f64 = total.iter().rev().take(6).sum();
        let got = history.value(ratio, last);
        if sum > 0.0 {
            prop_assert!((got.unwrap() - 0.1).abs() < 1e-9);
        } else {
            prop_assert_eq!(got, None);
        }
    }

    #[test]
    fn no_input_gives_a_sample_that_is_no_number(
        values in prop::collection::vec(
            (prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), 0.0..1e6_f64], prop_oneof![Just(f64::NAN), 0.0..1e6_f64]),
            0..60,
        )
    ) {
        let blueprint = blueprint();
        let grid = Grid { start_ms: 0, step_ms: 30_000, len: values.len() };
        let (total, error): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
        if let Some(history) = History::new(&blueprint, grid, BTreeMap::new(), total, error) {
            for record in &blueprint.records {
                let mut last = i64::MIN;
                for (at, value) in history.samples(record) {
                    prop_assert!(value.is_finite() && at > last);
                    last = at;
                }
            }
        }
    }
}
