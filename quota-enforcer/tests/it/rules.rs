//! The shipped alert rules, by the real promtool.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use quota_enforcer_core::decide::Block;
use quota_enforcer_core::time::Timestamp;
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

/// As an operator would lay it: the rules beside it.
#[test]
fn the_example_for_prometheus_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let (config, rules) = (folder.path().join("prometheus.yml"), folder.path().join("rules"));
    fs::create_dir(&rules).unwrap();
    fs::copy(root().join("examples/quota/prometheus.yml"), &config).unwrap();
    fs::copy(root().join("rules/quota-enforcer.yml"), rules.join("quota-enforcer.yml")).unwrap();
    let promtool = programs::promtool().unwrap();
    let said = programs::run(&promtool, ["check".as_ref(), "config".as_ref(), config.as_os_str()]).unwrap();
    assert!(said.contains("rules found"), "{said}");
}

/// An alert that leaves out a name which nobody writes leaves out nobody.
#[test]
fn who_is_spared_on_purpose_is_no_ticket() {
    let spares = [
        Block::Protected { pattern: String::new() },
        Block::Exempt { until: Timestamp(0) },
        Block::Paused,
        Block::Budget { burn: 0.0 },
        Block::WithinLimit,
        Block::OtherRule { rule: String::new() },
    ];
    let names = spares.map(|by| serde_json::to_value(by).unwrap()["block"].as_str().unwrap().to_owned());
    let rules = fs::read_to_string(root().join("rules/quota-enforcer.yml")).unwrap();
    assert!(rules.contains(&format!("by!~\"{}\"", names.join("|"))), "{names:?}");
}

#[test]
fn every_alert_has_a_test_and_a_runbook() {
    let rules = fs::read_to_string(root().join("rules/quota-enforcer.yml")).unwrap();
    let tests = fs::read_to_string(root().join("rules/quota-enforcer_test.yml")).unwrap();
    let alert = Regex::new(r"- alert: (\w+)").unwrap();
    let alerts: Vec<&str> = alert.captures_iter(&rules).map(|found| found.get(1).unwrap().as_str()).collect();
    assert!(alerts.len() >= 15, "{alerts:?}");
    for alert in alerts {
        let runbook = format!("docs/runbooks/{alert}.md");
        assert!(rules.contains(&format!("runbook_url: {runbook}")), "{alert} names its runbook");
        let text = fs::read_to_string(root().join(&runbook)).unwrap();
        assert!(text.contains("](README.md)"), "{runbook} says how its commands are run");
        let fires = Regex::new(&format!(r"alertname: {alert}\n\s+exp_alerts:\n\s+- exp_labels")).unwrap();
        assert!(fires.is_match(&tests), "a test in which {alert} fires");
        assert!(
            tests.contains(&format!("alertname: {alert}, exp_alerts: []")),
            "a test in which {alert} is quiet"
        );
    }
}

#[test]
fn the_page_tells_which_alerts_page() {
    let rules = fs::read_to_string(root().join("rules/quota-enforcer.yml")).unwrap();
    let alert = Regex::new(r"- alert: (\w+)\n(?s:.*?)severity: (\w+)").unwrap();
    let shipped: BTreeSet<(&str, &str)> =
        alert.captures_iter(&rules).map(|found| found.extract::<2>().1.into()).collect();
    let page = fs::read_to_string(root().join("docs/quota-enforcer.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `(page|ticket)` \|(.*)$").unwrap();
    let link = Regex::new(r"\]\(runbooks/(\w+)\.md\)").unwrap();
    let mut told = BTreeSet::new();
    for found in row.captures_iter(&page) {
        let [severity, alerts] = found.extract().1;
        told.extend(link.captures_iter(alerts).map(|found| (found.extract::<1>().1[0], severity)));
    }
    assert_eq!(told, shipped);
}

/// A series that an alert reads and nobody writes never fires.
#[test]
fn every_series_of_a_rule_is_one_of_ours() {
    let rules = fs::read_to_string(root().join("rules/quota-enforcer.yml")).unwrap();
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let metrics = read("quota-enforcer/src/metrics.rs") + &read("daemon-kit/src/reload/metrics.rs");
    let name = Regex::new(r"\b(?:quota_enforcer|config)_\w+").unwrap();
    for found in name.find_iter(&rules) {
        let full = found.as_str();
        let counter = full.trim_start_matches("quota_enforcer_").trim_end_matches("_total");
        let names = [full, full.trim_end_matches("_info"), counter];
        assert!(names.iter().any(|name| metrics.contains(&format!("\"{name}\""))), "{full}");
    }
}
