//! `validate`: every finding with its place, in every format.

use crate::support::{golden_run, run};

#[test]
fn every_error_is_reported_at_once() {
    golden_run("validate_bad", "validate -i testdata/cli/bad.yaml");
}

#[test]
fn scripts_and_pull_requests_get_the_same_findings() {
    golden_run("validate_bad_json", "validate --output json -i testdata/cli/bad.yaml");
    golden_run("validate_bad_github", "validate --output github -i testdata/cli/bad.yaml");
}

#[test]
fn a_good_spec_passes() {
    golden_run("validate_good", "validate -i testdata/cli/shop.yaml");
    golden_run("validate_good_sloth", "validate --profile sloth -i testdata/cli/shop.yaml");
}

#[test]
fn suspicious_specs_are_remarked_on() {
    golden_run("validate_lints", "validate -i testdata/cli/lints.yaml");
    golden_run("validate_lints_sloth", "validate --profile sloth -i testdata/cli/lints.yaml");
}

#[test]
fn the_promql_check_can_be_relaxed() {
    golden_run("validate_promql_warn", "validate --promql warn -i testdata/cli/lints.yaml --output github");
    golden_run("validate_promql_off", "validate --promql off -i testdata/cli/lints.yaml --output github");
}

#[test]
fn strict_makes_unknown_keys_errors() {
    let lax = "version: prometheus/v1\nservice: svc\nslos:\n- {name: ab, objectives: 1, objective: 99, sli: {raw: {error_ratio_query: 'a > {{.window}}'}}, \
               alerting: {page_alert: {disable: true}, ticket_alert: {disable: true}}}\n";
    assert_eq!(run(&["validate", "-i", "-"], lax).code, 0);
    assert_eq!(run(&["validate", "-i", "-", "--strict"], lax).code, 1);
}

#[test]
fn duplicates_across_files_name_both_places() {
    golden_run("validate_duplicates", "validate -i testdata/cli -n shop");
    golden_run("validate_duplicates_ignored", "validate -i testdata/cli -n shop --ignore-slo-duplicates");
}

#[test]
fn filters_choose_files() {
    golden_run("validate_filtered", "validate -i testdata/cli -e (bad|lints|new)");
    golden_run("validate_filtered_out", "validate -i testdata/cli -n nothing");
}
