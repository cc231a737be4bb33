//! `explain`: windows, budgets, detection times and cost.

use crate::support::golden_run;

#[test]
fn all_slos_of_a_file() {
    golden_run("explain", "explain -i testdata/cli/shop.yaml --events-per-day 1000000");
}

#[test]
fn one_slo_by_id_or_by_service_and_name() {
    golden_run("explain_id", "explain -i testdata/cli/shop.yaml shop-latency");
    golden_run("explain_name_json", "explain -i testdata/cli/shop.yaml shop/availability --output json");
}

#[test]
fn an_unknown_slo_is_a_usage_error() {
    golden_run("explain_unknown", "explain -i testdata/cli/shop.yaml nothing");
}
