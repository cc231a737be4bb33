//! The page of faults names tests, and they are there.

use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

/// Failures that were known when the enforcer was designed; rows may be added.
const KNOWN: usize = 20;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs")
}

#[test]
fn every_failure_has_a_test_and_every_test_is_there() {
    let page = fs::read_to_string(docs().join("quota-faults.md")).unwrap();
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| failure")).collect();
    assert!(rows.len() >= KNOWN, "{} rows", rows.len());
    // A link to a file, or a name in backquotes with an underscore, which is a test of the file that was linked last.
    let part = Regex::new(r"\[[^\]]+\]\((?<file>[^)]+)\)|`(?<test>[a-z0-9]+(?:_[a-z0-9]+)+)`").unwrap();
    for row in rows {
        let mut source = None;
        let mut tests = 0;
        let shown_by = row.trim_end_matches('|').rsplit('|').next().unwrap();
        for found in part.captures_iter(shown_by) {
            if let Some(file) = found.name("file") {
                let path = docs().join(file.as_str());
                source = Some(
                    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
                );
            } else if let Some(test) = found.name("test") {
                let source = source
                    .as_ref()
                    .unwrap_or_else(|| panic!("{} stands before its file: {row}", test.as_str()));
                // Properties stand in a macro, where `#[test]` is further away.
                let name = Regex::new(&format!(
                    r"#\[(?:tokio::)?test[^\n]*\n(?:\s*(?:#\[|///)[^\n]*\n)*\s*(?:async )?fn {}\(",
                    test.as_str()
                ))
                .unwrap();
                assert!(name.is_match(source), "{} is no test of its file: {row}", test.as_str());
                tests += 1;
            }
        }
        assert!(tests > 0, "no test: {row}");
    }
}
