//! The real promtool accepts every file that is written, for every profile and format.

use std::fs;
use std::path::{Path, PathBuf};

use testbed::{files, programs};

/// Specs of every input format, with the period that they need.
fn specs() -> Vec<(PathBuf, &'static str)> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut specs = vec![(package.join("../examples/shop/slos"), "30d")];
    for case in fs::read_dir(package.join("testdata/conformance")).unwrap() {
        let case = case.unwrap().path();
        if !case.is_dir() {
            continue;
        }
        let period = if case.ends_with("base-28d") { "28d" } else { "30d" };
        specs.push((case.join("input.yaml"), period));
    }
    assert!(specs.len() > 5, "{specs:?}");
    specs
}

#[test]
fn promtool_accepts_profile_lean() {
    every_format("lean");
}

#[test]
fn promtool_accepts_profile_sloth() {
    every_format("sloth");
}

fn every_format(profile: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut plain = Vec::new();
    for (input, period) in specs() {
        for format in ["prometheus", "prometheus-operator", "mimir"] {
            let output = folder.path().join("rules.yml");
            let arguments = [
                "generate".as_ref(),
                "--profile".as_ref(),
                profile.as_ref(),
                "--format".as_ref(),
                format.as_ref(),
                "--default-slo-period".as_ref(),
                period.as_ref(),
                "-i".as_ref(),
                input.as_os_str(),
                "-o".as_ref(),
                output.as_os_str(),
            ];
            programs::run(Path::new(env!("CARGO_BIN_EXE_slo-engine")), arguments).unwrap();
            let text = fs::read_to_string(&output).unwrap();
            for (number, document) in documents(format, &text).into_iter().enumerate() {
                let file = folder.path().join(format!("{}.yml", plain.len()));
                files::write(&file, &document).unwrap();
                plain.push((file, format!("{} as {format}, document {number}", input.display())));
            }
        }
    }
    let promtool = programs::promtool().unwrap();
    for (file, what) in &plain {
        let checked = programs::run(&promtool, ["check".as_ref(), "rules".as_ref(), file.as_os_str()]);
        let said = checked.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(!said.contains("SUCCESS: 0 rules"), "{what}: {said}");
    }
}

/// The rule files inside what was written: promtool knows neither objects nor namespaces.
fn documents(format: &str, text: &str) -> Vec<String> {
    let whole = text.split("\n---\n").filter(|document| document.contains("groups:"));
    let rule_file = |document: &str| match format {
        "prometheus-operator" => {
            assert!(document.contains("kind: PrometheusRule"), "{document}");
            let spec = document.split("\nspec:\n").nth(1).unwrap();
            spec.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
        }
        "mimir" => {
            assert!(document.contains("namespace: "), "{document}");
            document.lines().filter(|line| !line.starts_with("namespace: ")).collect::<Vec<_>>().join("\n")
        }
        _ => document.to_owned(),
    };
    whole.map(rule_file).collect()
}
