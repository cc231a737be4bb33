//! What an alert says while it fires, and the example configuration of Alertmanager.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::lean_support::{lean, promtools, rule_file, shop, write};

/// What promtool prints of the alerts that fire after eight hours, the last four with this many errors per 3,000 events.
fn firing(tool: &str, errors: u32) -> String {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("rules.yml"), &rule_file(&lean(&shop()).0));
    let last = format!("0+0x479 0+{errors}x490");
    let test = json!({
        "rule_files": ["rules.yml"],
        "evaluation_interval": "30s",
        "tests": [{
            "interval": "30s",
            "input_series": [
                {"series": "all_total{i=\"1\"}", "values": "0+3000x1000"},
                {"series": "bad_total{i=\"1\"}", "values": last},
            ],
            "alert_rule_test": [{"eval_time": "8h", "alertname": "ShopErrors", "exp_alerts": []}],
        }],
    });
    write(&dir.path().join("test.yml"), &test.to_string());
    let out =
        Command::new(tool).args(["test", "rules", "test.yml"]).current_dir(dir.path()).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
        .replace("\\\"", "\"")
}

#[test]
fn an_annotation_names_the_windows_that_burn() {
    for tool in promtools() {
        // One percent for four hours: 30m and 6h are over six times the budget, the last hour is not over 14.4 times.
        let slow = firing(&tool, 30);
        assert!(slow.contains("burning_windows=\"[30m and 6h over 6x]\""), "{tool}: {slow}");
        assert!(
            slow.contains("title=\"(page) shop orders SLO error budget burn rate is too fast.\""),
            "{tool}: {slow}"
        );
        let both = firing(&tool, 300);
        assert!(both.contains("[5m and 1h over 14.4x][30m and 6h over 6x]"), "{tool}: {both}");
        assert!(!firing(&tool, 0).contains("burning_windows"), "nothing burns");
    }
}

#[test]
fn the_example_configuration_of_alertmanager_is_valid() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/alertmanager.yml");
    let amtool = std::env::var("AMTOOL").unwrap_or_else(|_| "amtool".to_owned());
    let Ok(check) = Command::new(&amtool).arg("check-config").arg(&config).output() else {
        // Not every machine has it; the end-to-end test loads the same shape into a real Alertmanager.
        println!("{amtool} is not installed: not checked");
        return;
    };
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    for (severity, receiver) in [("page", "pages"), ("ticket", "tickets")] {
        let out = Command::new(&amtool)
            .args(["config", "routes", "test", "--config.file"])
            .arg(&config)
            .args([&format!("sloth_severity={severity}"), "sloth_id=shop-orders"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), receiver);
    }
}
