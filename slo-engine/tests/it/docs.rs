//! The documents: every test, file and page that they name is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn below(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            below(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    below(&root().join("docs"), "md", &mut pages);
    pages.into_iter().map(|page| (page.clone(), fs::read_to_string(page).unwrap())).collect()
}

#[test]
fn every_test_that_the_compatibility_page_names_is_there() {
    let function =
        Regex::new(r"#\[(?:tokio::)?test[^\]]*\](?:\s*#\[[^\]]*\])*\s*(?:async )?fn (\w+)").unwrap();
    let mut sources = Vec::new();
    for folder in ["slo-engine/core/src", "slo-engine/src", "slo-engine/tests"] {
        below(&root().join(folder), "rs", &mut sources);
    }
    let tests: BTreeSet<String> = sources
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            function.captures_iter(&text).map(|found| found[1].to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let page = fs::read_to_string(root().join("docs/sloth-compatibility.md")).unwrap();
    let named = Regex::new(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})(_…)?`").unwrap();
    let mut seen = 0;
    for found in named.captures_iter(&page) {
        let name = &found[1];
        let there = if found.get(2).is_some() {
            tests.iter().filter(|test| test.starts_with(&format!("{name}_"))).count() == 1
        } else {
            tests.contains(name)
        };
        assert!(there, "the page names the test `{name}`, and there is none or more than one");
        seen += 1;
    }
    assert!(seen > 30, "the page names {seen} tests only");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#\s]+)(?:#[^)]*)?\)").unwrap();
    for (page, text) in pages() {
        for found in link.captures_iter(&text).filter(|found| !found[1].contains("://")) {
            let target = page.parent().unwrap().join(&found[1]);
            assert!(target.try_exists().unwrap(), "{}: {}", page.display(), &found[1]);
        }
    }
}
