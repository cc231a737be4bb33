use std::collections::BTreeMap;

use super::*;
use crate::profile;
use crate::slo::{AlertMeta, OwnKeys, Query, Sli, SpecKind};
use crate::window::Catalogue;

fn slo(objective: f64) -> Slo {
    let alert = Some(AlertMeta { name: "A".to_owned(), ..AlertMeta::default() });
    Slo {
        id: "a-b".to_owned(),
        name: "b".to_owned(),
        service: "a".to_owned(),
        description: String::new(),
        objective,
        period: PromDuration::from_days(30),
        labels: BTreeMap::new(),
        sli: Sli::Events {
            error: Query("sum(rate(e[{{.window}}]))".to_owned()),
            total: Query("sum(rate(t[{{.window}}]))".to_owned()),
        },
        page: alert.clone(),
        ticket: alert,
        spec: SpecKind::PrometheusV1,
        own: OwnKeys::default(),
    }
}

fn month() -> PeriodWindows {
    Catalogue::built_in().for_period(PromDuration::from_days(30), false).unwrap()
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{a} is not {b}");
}

#[test]
fn the_budget_is_time_and_events() {
    let budget = budget(&slo(99.9), Some(1_000_000.0));
    near(budget.seconds, 43.2 * 60.0);
    near(budget.events.unwrap(), 30_000.0);
    near(super::budget(&slo(100.0), None).seconds, 0.0);
}

#[test]
fn detection_times_are_those_of_the_workbook() {
    let pairs = pairs(&slo(99.9), &month());
    assert_eq!(
        pairs.iter().map(|pair| pair.name).collect::<Vec<_>>(),
        ["page quick", "page slow", "ticket quick", "ticket slow"]
    );
    let Detection::After { fires, resets, budget } = pairs[0].detection[0] else {
        panic!("a total outage fires")
    };
    // 0.001 / 1 * 1 h * 14.4
    near(fires, 51.84);
    near(resets, 300.0 * (1.0 - 0.0144));
    near(budget, 0.02);
    assert_eq!(pairs[0].detection[2], Detection::Never, "1 % is below 1.44 %");
    assert!(matches!(pairs[1].detection[2], Detection::After { .. }), "1 % is above 0.6 %");
}

#[test]
fn disabled_alerts_have_no_pairs() {
    assert_eq!(pairs(&Slo { page: None, ..slo(99.9) }, &month()).len(), 2);
}

#[test]
fn without_a_budget_the_first_error_fires() {
    let pairs = pairs(&slo(100.0), &month());
    assert_eq!(pairs[0].detection[0], Detection::After { fires: 0.0, resets: 300.0, budget: 1.0 });
}

#[test]
fn lean_reads_less_than_sloth() {
    let (slo, windows) = (slo(99.9), month());
    let options =
        profile::sloth::Options { version: "x".to_owned(), disable_recordings: false, disable_alerts: false };
    let sloth = cost(&profile::sloth::rules(&slo, &windows, &options).unwrap());
    let (groups, _) = profile::lean::rules(&slo, &windows, &profile::lean::LeanOptions::default());
    let lean = cost(&groups);
    assert_eq!((sloth.groups, sloth.records, sloth.alerts), (3, 15, 2));
    // Error and total over 5m + 30m + 1h + 2h + 6h + 1d + 3d.
    near(sloth.raw_seconds, 2.0 * 3600.0 * (1.0 / 12.0 + 0.5 + 1.0 + 2.0 + 6.0 + 24.0 + 72.0));
    assert!(lean.raw_seconds < 1000.0, "{lean:?}");
    assert!(lean.selectors > 0 && lean.bytes > 0);
}

proptest::proptest! {
    /// More errors are never found later, and what is found costs no more than the pair's share of the budget.
    #[test]
    fn more_errors_are_found_sooner(objective in 50.0..99.999_f64, low in 0.001..1.0_f64, more in 1.0..3.0_f64) {
        let high = (low * more).min(1.0);
        let budget_ratio = budget(&slo(objective), None).ratio;
        for (_, pair) in month().pairs() {
            let at = |rate| detection(&pair, month().period, budget_ratio, rate);
            match (at(low), at(high)) {
                (Detection::After { fires: slow, .. }, Detection::After { fires: fast, budget, .. }) => {
                    proptest::prop_assert!(fast <= slow && fast <= pair.long.as_secs_f64());
                    proptest::prop_assert!(budget <= pair.error_budget_percent / 100.0 * 1.000_001);
                }
                (Detection::After { .. }, Detection::Never) => proptest::prop_assert!(false, "more errors, no alert"),
                (Detection::Never, _) => {}
            }
        }
    }
}
