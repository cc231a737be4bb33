//! The page of faults names tests, and they are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

/// Failures that were known when the enforcer was designed, as their rows begin; others may be added.
const KNOWN: [&str; 20] = [
    "wrong target, wrong threshold",
    "mass action",
    "harm to the throttled",
    "flapping",
    "our write, or a human's, moves series",
    "overwriting a human",
    "no compare-and-set",
    "two replicas",
    "a crash between write and record",
    "all enforcers die for good",
    "metrics stale, missing, partial, NaN",
    "Prometheus down",
    "controller down, no answer",
    "partial failure of a request",
    "the clock jumps",
    "restoring what was there before",
    "the broker ignores the quota",
    "identities that change",
    "growth of the metadata log",
    "credentials that allow more, or less",
];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs")
}

fn page() -> String {
    fs::read_to_string(docs().join("quota-faults.md")).unwrap()
}

/// What stands below a heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

/// Tests as they are named: in backquotes behind a link to their file, or behind another one of it.
fn named(text: &str) -> Vec<(&str, &str)> {
    let group = Regex::new(r"\]\((?<file>[^)]+\.rs)\)(?<tests>(?:\s+`\w+`)+)").unwrap();
    let name = Regex::new(r"\w+").unwrap();
    let mut named = Vec::new();
    for found in group.captures_iter(text) {
        let (file, tests) = (found.name("file").unwrap().as_str(), found.name("tests").unwrap().as_str());
        named.extend(name.find_iter(tests).map(|test| (file, test.as_str())));
    }
    named
}

#[test]
fn every_test_that_is_named_is_a_test_of_its_file() {
    let page = page();
    let link = Regex::new(r"\]\(([^)#]+\.rs)\)").unwrap();
    for found in link.captures_iter(&page) {
        assert!(docs().join(&found[1]).is_file(), "{}", &found[1]);
    }
    let named = named(&page);
    for (file, test) in &named {
        let source = fs::read_to_string(docs().join(file)).unwrap();
        // Properties stand in a macro, where `#[test]` is further away.
        let definition =
            format!(r"#\[(?:tokio::)?test[^\n]*\n(?:\s*(?:#\[|///)[^\n]*\n)*\s*(?:async )?fn {test}\(");
        assert!(Regex::new(&definition).unwrap().is_match(&source), "{test} is no test of {file}");
    }
    // Nothing else looks like one, but for metrics.
    let known: BTreeSet<&str> = named.iter().map(|(_, test)| *test).collect();
    let like_one = Regex::new(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})`").unwrap();
    for found in like_one.captures_iter(&page) {
        let name = found.get(1).unwrap().as_str();
        assert!(known.contains(name) || name.starts_with("quota_enforcer_"), "{name} stands behind no file");
    }
}

#[test]
fn every_known_failure_has_a_row_and_every_row_a_test() {
    let page = page();
    let rows: Vec<&str> = section(&page, "Failure by failure")
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| failure"))
        .collect();
    for known in KNOWN {
        assert!(rows.iter().any(|row| row.starts_with(&format!("| {known}"))), "{known}");
    }
    for row in rows {
        let shown_by = row.trim_end_matches('|').rsplit('|').next().unwrap();
        assert!(!named(shown_by).is_empty(), "no test: {row}");
    }
}
