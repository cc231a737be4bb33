use std::collections::BTreeMap;

use super::*;
use crate::slo::{AlertMeta, OwnKeys, Query, Sli, SpecKind};
use crate::window::Catalogue;

fn mk_slo() -> Slo {
    let alert = |team: &str| AlertMeta {
        name: "ShopErrors".to_owned(),
        labels: BTreeMap::from([("team".to_owned(), team.to_owned())]),
        annotations: BTreeMap::from([("summary".to_owned(), "mine".to_owned())]),
    };
    Slo {
        id: "shop-checkout".to_owned(),
        name: "checkout".to_owned(),
        service: "shop".to_owned(),
        description: String::new(),
        objective: 99.9,
        period: PromDuration::from_days(30),
        labels: BTreeMap::from([("tier".to_owned(), "2".to_owned())]),
        sli: Sli::Events {
            error: Query("rate(bad[{{.window}}])".to_owned()),
            total: Query("rate(all[{{.window}}])".to_owned()),
        },
        page: Some(alert("a")),
        ticket: Some(alert("b")),
        spec: SpecKind::PrometheusV1,
        own: OwnKeys::default(),
    }
}

fn made(slo: &Slo, change: impl FnOnce(&mut Options)) -> Vec<RuleGroup> {
    let windows = Catalogue::built_in().for_period(slo.period, true).unwrap();
    let mut options = Options { version: "dev".to_owned(), disable_recordings: false, disable_alerts: false };
    change(&mut options);
    rules(slo, &windows, &options).unwrap()
}

fn all(slo: &Slo) -> Vec<RuleGroup> {
    made(slo, |_| {})
}

fn exprs(group: &RuleGroup) -> Vec<&str> {
    group.rules.iter().map(|rule| rule.expr.as_str()).collect()
}

const IDS: &str = r#"{sloth_id="shop-checkout", sloth_service="shop", sloth_slo="checkout"}"#;

#[test]
fn groups_come_in_sloths_order_under_sloths_names() {
    let groups = all(&mk_slo());
    let names: Vec<_> = groups.iter().map(|group| (group.name.as_str(), group.rules.len())).collect();
    assert_eq!(
        names,
        [
            ("sloth-slo-sli-recordings-shop-checkout", 8),
            ("sloth-slo-meta-recordings-shop-checkout", 7),
            ("sloth-slo-alerts-shop-checkout", 2)
        ]
    );
    assert!(groups.iter().all(|group| group.interval.is_none()));
}

#[test]
fn ratio_of_events_and_mean_over_the_period() {
    let groups = all(&mk_slo());
    let ratios = exprs(&groups[0]);
    assert_eq!(ratios[0], "(rate(bad[5m]))\n/\n(rate(all[5m]))\n");
    let series = format!("slo:sli_error:ratio_rate5m{IDS}[30d]");
    assert_eq!(
        ratios[7],
        format!("sum_over_time({series})\n/ ignoring (sloth_window)\ncount_over_time({series})\n")
    );
}

#[test]
fn raw_ratio_keeps_its_last_line_break() {
    let mut slo = mk_slo();
    slo.sli = Sli::Raw { error_ratio: Query("x[{{.window}}]\n".to_owned()) };
    assert_eq!(exprs(&all(&slo)[0])[0], "(x[5m]\n)");
}

#[test]
fn good_over_total_is_one_minus_their_ratio() {
    let mut slo = mk_slo();
    slo.sli = Sli::GoodTotal { good: Query("g".to_owned()), total: Query("t".to_owned()) };
    assert_eq!(
        exprs(&all(&slo)[0])[0],
        "(\n  1 - (\n    (\n      g\n    )\n    /\n    (\n      t\n    )\n  )\n)"
    );
}

#[test]
fn weeks_are_written_as_weeks() {
    let mut slo = mk_slo();
    slo.period = PromDuration::from_days(28);
    let groups = all(&slo);
    let period = groups[0].rules.last().unwrap();
    assert_eq!(period.name, "slo:sli_error:ratio_rate4w");
    assert_eq!(period.labels["sloth_window"], "4w");
    assert!(period.expr.contains("[4w]"));
    assert_eq!(exprs(&groups[1])[2], "vector(28)");
}

#[test]
fn objective_and_budget_are_different_floats() {
    let groups = all(&mk_slo());
    assert_eq!(exprs(&groups[1])[0], "vector(0.9990000000000001)");
    assert_eq!(exprs(&groups[1])[1], "vector(1-0.9990000000000001)");
    assert!(exprs(&groups[2])[0].contains("> (14.4 * 0.0009999999999999432))"));
}

#[test]
fn budgets_below_a_ten_thousandth_have_an_exponent() {
    let mut slo = mk_slo();
    slo.objective = 99.999;
    assert!(exprs(&all(&slo)[2])[1].contains("> (3 * 1.0000000000047748e-05))"));
}

#[test]
fn user_labels_win_over_the_identity_but_not_in_the_info() {
    let mut slo = mk_slo();
    for (key, value) in [("sloth_id", "mine"), ("sloth_window", "mine"), ("sloth_version", "mine")] {
        slo.labels.insert(key.to_owned(), value.to_owned());
    }
    let groups = all(&slo);
    let ratio = &groups[0].rules[0];
    assert_eq!(ratio.labels["sloth_id"], "mine");
    assert_eq!(ratio.labels["sloth_window"], "mine");
    let info = groups[1].rules.last().unwrap();
    assert_eq!(info.labels["sloth_id"], "mine");
    assert_eq!(info.labels["sloth_version"], "dev");
    assert_eq!(groups[1].rules[0].labels["sloth_version"], "mine");
    assert!(exprs(&groups[1])[5].ends_with(IDS));
}

#[test]
fn alerts_have_their_own_labels_only_and_user_annotations_win() {
    let groups = all(&mk_slo());
    let page = &groups[2].rules[0];
    assert_eq!(page.name, "ShopErrors");
    assert_eq!(
        page.labels,
        BTreeMap::from([("sloth_severity".into(), "page".into()), ("team".into(), "a".into())])
    );
    assert_eq!(page.annotations["summary"], "mine");
    assert_eq!(
        page.annotations["title"],
        "(page) {{$labels.sloth_service}} {{$labels.sloth_slo}} SLO error budget burn rate is too fast."
    );
    let above = |window: &str, factor: &str| {
        format!(
            "max(slo:sli_error:ratio_rate{window}{IDS} > ({factor} * 0.0009999999999999432)) without (sloth_window)"
        )
    };
    assert_eq!(
        page.expr,
        format!(
            "(\n    {}\n    and\n    {}\n)\nor\n(\n    {}\n    and\n    {}\n)\n",
            above("5m", "14.4"),
            above("1h", "14.4"),
            above("30m", "6"),
            above("6h", "6")
        )
    );
}

#[test]
fn what_is_disabled_is_left_out() {
    let mut slo = mk_slo();
    assert_eq!(made(&slo, |options| options.disable_recordings = true).len(), 1);
    assert_eq!(made(&slo, |options| options.disable_alerts = true).len(), 2);
    slo.page = None;
    assert_eq!(all(&slo)[2].rules.len(), 1);
    slo.ticket = None;
    assert_eq!(all(&slo).len(), 2);
    assert!(made(&slo, |options| options.disable_recordings = true).is_empty());
}

#[test]
fn a_period_as_long_as_an_alert_window_gives_its_rule_twice() {
    let mut slo = mk_slo();
    let mut windows = Catalogue::built_in().periods[0];
    windows.period = PromDuration::from_days(3);
    slo.period = windows.period;
    let options = Options { version: String::new(), disable_recordings: false, disable_alerts: false };
    let ratios = rules(&slo, &windows, &options).unwrap().remove(0).rules;
    assert_eq!(ratios.len(), 8);
    assert_eq!(ratios[6], ratios[7]);
    assert!(ratios[6].expr.starts_with("sum_over_time"));

    slo.period = windows.base();
    windows.period = slo.period;
    assert_eq!(rules(&slo, &windows, &options), Err(RulesError::PeriodIsShortWindow(slo.period)));
}
