//! Profile `sloth` against the rules that Sloth v0.16.0 itself wrote, as parsed YAML.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::{promtool_check, rules, slo_engine, yaml};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/conformance")
}

fn case_names() -> Vec<String> {
    let entries = std::fs::read_dir(cases()).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// Flags that a case was generated with.
fn flags(case: &str) -> &'static [&'static str] {
    match case {
        "base-28d" => &["--default-slo-period", "28d"],
        _ => &["-l", "cmd=examplesgen.sh"],
    }
}

/// The version of the generator is the one thing that may differ.
fn without_version(mut value: Value) -> Value {
    fn blank(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if key == "sloth_version" { *value = Value::Null } else { blank(value) }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(blank),
            _ => {}
        }
    }
    blank(&mut value);
    value
}

fn generated(case: &str, profile: &str) -> String {
    generated_as(case, profile, &[])
}

fn generated_as(case: &str, profile: &str, more: &[&str]) -> String {
    let input = cases().join(case).join("input.yaml");
    let args = ["generate", "--profile", profile, "-i", input.to_str().unwrap()];
    slo_engine(args.into_iter().chain(flags(case).iter().copied()).chain(more.iter().copied())).ok().stdout
}

#[test]
fn rules_are_equal_to_sloths() {
    let mut seen = 0;
    for case in case_names() {
        let read = |text: &str| -> Vec<Value> {
            yaml(text).into_iter().filter(|document| !document.is_null()).map(without_version).collect()
        };
        let expected = std::fs::read_to_string(cases().join(&case).join("expected.yaml")).unwrap();
        // This one is kept in its project as a Go template, with the alert templates escaped.
        let expected = expected.replace(r#"{{"{{"#, "{{").replace(r#"}}"}}"#, "}}");
        assert!(read(&generated(&case, "sloth")) == read(&expected), "{case} differs");
        seen += 1;
    }
    assert_eq!(seen, 7);
}

/// What dashboards and routes of alerts look for: every name of a record or alert with its labels, `sloth_mode` included.
#[test]
fn lean_has_every_name_of_sloth() {
    for case in case_names() {
        let named = |profile: &str| -> Vec<(String, Value)> {
            let text = generated_as(&case, profile, &["--format", "prometheus"]);
            rules(&text).into_iter().map(|(name, rule)| (name, rule["labels"].clone())).collect()
        };
        let lean = named("lean");
        for (name, labels) in named("sloth") {
            assert!(
                lean.contains(&(name.clone(), labels.clone())),
                "{case}: no {name} {labels} in {lean:#?}"
            );
        }
    }
}

#[test]
fn promtool_takes_the_rules_of_both_profiles() {
    let directory = tempfile::tempdir().unwrap();
    for profile in ["sloth", "lean"] {
        let (input, out) = (cases(), directory.path().join(profile));
        let args = ["generate", "--profile", profile, "--format", "prometheus"];
        let paths = ["-i", input.to_str().unwrap(), "-n", "input", "-o", out.to_str().unwrap()];
        slo_engine(args.into_iter().chain(paths)).ok();
        for case in case_names() {
            let file = out.join(case).join("input.yaml");
            assert!(promtool_check(&file).contains("SUCCESS"), "{}", file.display());
        }
    }
}
