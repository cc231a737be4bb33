//! `explain`: windows, budgets, detection times and cost.

use serde_json::Value;

use crate::support::{golden_run, golden_run_masked, run};

/// How many rules profile lean has is tested where they are made.
fn without_lean_cost(stdout: &str) -> String {
    let line = |line: &str| {
        if line.starts_with("  lean  ") {
            "  lean  (counted elsewhere)\n".to_owned()
        } else {
            format!("{line}\n")
        }
    };
    stdout.lines().map(line).collect()
}

fn without_lean_cost_json(stdout: &str) -> String {
    let mut object: Value = serde_json::from_str(stdout).unwrap();
    for slo in object["slos"].as_array_mut().unwrap() {
        let lean = slo["cost"].as_object_mut().unwrap().remove("lean").unwrap();
        assert!(
            lean["records"].as_u64().unwrap() > 10
                && lean["raw_seconds_per_series"].as_f64().unwrap() < 3600.0
        );
    }
    format!("{object:#}\n")
}

#[test]
fn all_slos_of_a_file() {
    golden_run_masked(
        "explain",
        "explain -i testdata/cli/shop.yaml --events-per-day 1000000",
        without_lean_cost,
    );
}

#[test]
fn one_slo_by_id_or_by_service_and_name() {
    golden_run_masked("explain_id", "explain -i testdata/cli/shop.yaml shop-latency", without_lean_cost);
    let by_name = "explain -i testdata/cli/shop.yaml shop/availability --output json";
    golden_run_masked("explain_name_json", by_name, without_lean_cost_json);
}

#[test]
fn an_unknown_slo_is_a_usage_error() {
    golden_run("explain_unknown", "explain -i testdata/cli/shop.yaml nothing");
}

#[test]
fn other_alert_windows() {
    let windows = "--slo-period-windows-path testdata/cli-windows/good";
    let line = format!("explain -i testdata/cli/shop.yaml shop-availability {windows}");
    golden_run_masked("explain_windows", &line, without_lean_cost);
    let windows = "--slo-period-windows-path testdata/cli-windows/bad";
    golden_run("explain_windows_bad", &format!("explain -i testdata/cli/shop.yaml {windows}"));
    let diff =
        ["diff", "testdata/cli/shop.yaml", "testdata/cli/shop.yaml", "--slo-period-windows-path", "nowhere"];
    assert_eq!(run(&diff, "").code, 1);
}
