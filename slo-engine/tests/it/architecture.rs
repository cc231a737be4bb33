//! The import rules of CONTRIBUTING.md, for what no manifest can enforce.

use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

/// Lines that no source file exceeds; about 400 is what to aim at.
const MAX_LINES: usize = 700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The module `folder`, as the file beside it and every Rust source below it, with its text, tests and comments left out.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = root().join(folder);
    let mut found = Vec::new();
    let mut waiting = vec![folder.with_extension("rs"), folder.clone()];
    waiting.retain(|path| path.try_exists().unwrap());
    while let Some(path) = waiting.pop() {
        // `tests.rs`, `parse_tests.rs`, `tests/`
        let is_test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        if is_test {
            continue;
        }
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            waiting.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, code(&text)));
        }
    }
    assert!(!found.is_empty(), "no sources in {}", folder.display());
    found
}

/// Tests are the last item of a file, or a file of their own.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
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
fn only_tests_and_comments_are_left_out() {
    let text = "#[cfg(test)]\nmod tests;\n// word\nfn product() {}\n#[cfg(test)]\nmod tests {\n    fn test() {}\n}\n";
    assert_eq!(code(text), "#[cfg(test)]\nmod tests;\nfn product() {}");
    for module in ["quota-enforcer/src/engine", "quota-enforcer/src/ports"] {
        let file = root().join(module).with_extension("rs");
        assert!(sources(module).iter().any(|(path, _)| *path == file), "{module}");
    }
    assert!(sources("quota-enforcer/src").iter().all(|(path, _)| !path.ends_with("tests/sim.rs")));
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
        "the kit serves any daemon",
    );
    let names = dependencies("daemon-kit/Cargo.toml", "[dependencies]");
    assert!(!names.iter().any(|name| name.starts_with("slo-engine")), "{names:?}");
}

/// Which modules of its daemon a module may use, besides itself and what it depends on outside.
const MAY_USE: [(&str, &str, &[&str]); 11] = [
    ("slo-engine", "spec", &[]),
    ("slo-engine", "output", &[]),
    ("slo-engine", "adapters", &["output"]),
    ("quota-enforcer", "spec", &[]),
    ("quota-enforcer", "ports", &[]),
    ("quota-enforcer", "engine", &["ports"]),
    ("quota-enforcer", "adapters", &["ports", "spec"]),
    ("quota-enforcer", "status", &["engine"]),
    ("quota-enforcer", "metrics", &["engine", "status"]),
    ("quota-enforcer", "views", &["engine", "status"]),
    ("quota-enforcer", "api", &["engine", "status", "views"]),
];

#[test]
fn modules_know_what_they_may_know() {
    for (daemon, module, may_use) in MAY_USE {
        let library = fs::read_to_string(root().join(daemon).join("src/lib.rs")).unwrap();
        let names = library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        let others: Vec<&str> = names.filter(|name| *name != module && !may_use.contains(name)).collect();
        forbid(
            &format!("{daemon}/src/{module}"),
            &format!(r"\bcrate::\{{|\b(crate|super)::({})\b", others.join("|")),
            &format!("{module} of {daemon} may use {may_use:?} only"),
        );
    }
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
