//! The import rules of CONTRIBUTING.md, for what no manifest can enforce.

use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

/// Lines that no source file exceeds; about 400 is what to aim at.
const MAX_LINES: usize = 700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust source below `folder` with its text, tests and comments left out.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, code(&text)));
            }
        }
    }
    assert!(!found.is_empty(), "no sources below {folder}");
    found
}

fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]").next().unwrap();
    product.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Fails with every place where `pattern` occurs in the code below `folder`.
fn forbid(folder: &str, pattern: &str, reason: &str) {
    let pattern = Regex::new(pattern).unwrap();
    let mut places = Vec::new();
    for (path, text) in sources(folder) {
        places
            .extend(pattern.find_iter(&text).map(|found| format!("{}: {}", path.display(), found.as_str())));
    }
    assert!(places.is_empty(), "{reason}:\n{}", places.join("\n"));
}

/// Names in a manifest's section such as `[dependencies]`.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let mut lines = text.lines().skip_while(|line| *line != section).skip(1);
    let entries = lines.by_ref().take_while(|line| !line.starts_with('['));
    let name = |line: &str| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned();
    entries.filter(|line| !line.is_empty() && !line.starts_with('#')).map(name).collect()
}

#[test]
fn the_core_depends_on_parsers_and_errors_only() {
    let names = dependencies("slo-engine/core/Cargo.toml", "[dependencies]");
    assert_eq!(names, ["promql-parser", "thiserror"], "anything else needs a reason in docs/adr/0004");
    let names = dependencies("quota-enforcer/core/Cargo.toml", "[dependencies]");
    let allowed = ["jiff", "serde", "serde_json", "sha2", "thiserror"];
    assert_eq!(names, allowed, "anything else needs a reason in docs/adr/0004");
}

#[test]
fn the_core_is_pure() {
    for core in ["slo-engine/core/src", "quota-enforcer/core/src"] {
        forbid(
            core,
            r"std::(fs|net|env|process|thread|io)\b|SystemTime|Instant|\basync\b|\.await|println!|\bstatic mut\b",
            "the core is a function of its arguments",
        );
    }
}

#[test]
fn no_daemon_knows_another() {
    forbid("slo-engine/src", r"\bquota_enforcer\w*::", "daemons never import each other");
    forbid("quota-enforcer/src", r"\bslo_engine\w*::", "daemons never import each other");
}

#[test]
fn the_kit_knows_no_domain_word_and_no_daemon() {
    forbid(
        "daemon-kit/src",
        r"(?i)\b(slos?|sli|sloth|error budget|burn rate|quotas?|kafka|idle)\b|slo_engine",
        "two daemons must need a thing before it comes into the kit",
    );
    let names = dependencies("daemon-kit/Cargo.toml", "[dependencies]");
    assert!(!names.iter().any(|name| name.starts_with("slo-engine")), "{names:?}");
}

#[test]
fn adapters_know_the_world_and_not_the_commands() {
    forbid(
        "slo-engine/src/adapters",
        r"(crate|super::super)::(app|cli|commands)\b",
        "adapters are called, they do not call",
    );
    forbid(
        "quota-enforcer/src/adapters",
        r"(crate|super::super)::(api|app|cli|commands|engine)\b",
        "adapters are called, they do not call",
    );
    forbid(
        "quota-enforcer/src/engine",
        r"crate::(adapters|api|app|cli|commands|spec)\b",
        "the engine knows ports, not adapters",
    );
}

#[test]
fn files_are_split_by_noun() {
    for folder in [
        "daemon-kit/src",
        "kafka-admin/src",
        "quota-enforcer/core/src",
        "quota-enforcer/src",
        "slo-engine/core/src",
        "slo-engine/src",
        "testbed/src",
    ] {
        for (path, text) in sources(folder) {
            assert!(
                path.file_name().is_some_and(|name| name != "mod.rs"),
                "{}: foo.rs beside foo/",
                path.display()
            );
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{}: {lines} lines", path.display());
        }
    }
}
