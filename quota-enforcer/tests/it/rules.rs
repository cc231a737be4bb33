//! The shipped alert rules, by the real promtool.

use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;
use testbed::programs;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn rules_are_valid_and_do_what_their_tests_say() {
    let promtool = programs::promtool().unwrap();
    let rules = root().join("rules");
    programs::run(
        &promtool,
        ["check".as_ref(), "rules".as_ref(), rules.join("quota-enforcer.yml").as_os_str()],
    )
    .unwrap();
    programs::run(
        &promtool,
        ["test".as_ref(), "rules".as_ref(), rules.join("quota-enforcer_test.yml").as_os_str()],
    )
    .unwrap();
}

#[test]
fn every_alert_has_a_test_and_a_runbook() {
    let rules = fs::read_to_string(root().join("rules/quota-enforcer.yml")).unwrap();
    let tests = fs::read_to_string(root().join("rules/quota-enforcer_test.yml")).unwrap();
    let alert = Regex::new(r"- alert: (\w+)").unwrap();
    let alerts: Vec<&str> = alert.captures_iter(&rules).map(|found| found.get(1).unwrap().as_str()).collect();
    assert!(alerts.len() >= 14, "{alerts:?}");
    for alert in alerts {
        let runbook = format!("docs/runbooks/{alert}.md");
        assert!(rules.contains(&format!("runbook_url: {runbook}")), "{alert} names its runbook");
        assert!(root().join(&runbook).is_file(), "{runbook}");
        let fires = Regex::new(&format!(r"alertname: {alert}\n\s+exp_alerts:\n\s+- exp_labels")).unwrap();
        assert!(fires.is_match(&tests), "a test in which {alert} fires");
        assert!(
            tests.contains(&format!("alertname: {alert}, exp_alerts: []")),
            "a test in which {alert} is quiet"
        );
    }
}

/// A series that an alert reads and nobody writes never fires.
#[test]
fn every_series_of_a_rule_is_one_of_ours() {
    let rules = fs::read_to_string(root().join("rules/quota-enforcer.yml")).unwrap();
    let metrics = fs::read_to_string(root().join("quota-enforcer/src/metrics.rs")).unwrap();
    let name = Regex::new(r"quota_enforcer_\w+").unwrap();
    for found in name.find_iter(&rules) {
        let full = found.as_str();
        let counter = full.trim_start_matches("quota_enforcer_").trim_end_matches("_total");
        let names = [full, full.trim_end_matches("_info"), counter];
        assert!(names.iter().any(|name| metrics.contains(&format!("\"{name}\""))), "{full}");
    }
}
