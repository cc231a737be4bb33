//! Specs in, SLOs and diagnostics out: `testdata/good` is read without errors, `testdata/bad` with exactly the
//! diagnostics beside it. `UPDATE_GOLDEN=1` writes the golden files anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use daemon_kit::diagnostic::{self, Diagnostic, Format};
use daemon_kit::source::Source;
use slo_engine::spec::{self, LoadOptions, Loaded};
use slo_engine_core::{AlertMeta, Catalogue};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// The cases of a directory: a file is a case, and so is a directory of files.
fn cases(name: &str) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(testdata(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

fn sources(case: &Path) -> Vec<Source> {
    let mut paths = vec![case.to_owned()];
    if case.is_dir() {
        paths = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
    }
    let root = testdata("");
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    paths.iter().map(|path| Source::new(name(path), fs::read_to_string(path).unwrap())).collect()
}

enum Read {
    Specs(Loaded),
    Windows(Catalogue),
}

fn read(case: &Path) -> (Read, Vec<Diagnostic>) {
    let sources = sources(case);
    let name = case.file_name().unwrap().to_str().unwrap();
    let (read, mut diagnostics) = if name.starts_with("windows-") {
        let (catalogue, diagnostics) = spec::load_windows(&sources);
        (Read::Windows(catalogue), diagnostics)
    } else {
        let options = LoadOptions { sloth: name.starts_with("sloth-"), ..LoadOptions::default() };
        let mut loaded = spec::load_sources(&sources, &options);
        let diagnostics = std::mem::take(&mut loaded.diagnostics);
        (Read::Specs(loaded), diagnostics)
    };
    diagnostic::sort(&mut diagnostics);
    (read, diagnostics)
}

fn rendered(diagnostics: &[Diagnostic]) -> String {
    let mut out = Vec::new();
    for diagnostic in diagnostics {
        diagnostic::write(&mut out, diagnostic, Format::Text { color: false }).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn golden(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        #[allow(clippy::disallowed_methods, reason = "a golden file is not read while it is written")]
        fs::write(path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(expected == actual, "{} differs; UPDATE_GOLDEN=1 accepts:\n{actual}", path.display());
}

fn described(read: &Read) -> String {
    let mut out = String::new();
    let loaded = match read {
        Read::Specs(loaded) => loaded,
        Read::Windows(catalogue) => return format!("{catalogue:#?}\n"),
    };
    for object in &loaded.objects {
        let meta = (&object.namespace, &object.labels, object.annotations.clone().unwrap_or_default());
        writeln!(out, "{:?} #{} {:?} {meta:?}", object.spec, object.document, object.name).unwrap();
    }
    for located in &loaded.slos {
        let slo = &located.slo;
        writeln!(out, "- {} ({}, object {})", slo.id, slo.name, located.object).unwrap();
        writeln!(out, "  objective {} over {}", slo.objective, slo.period).unwrap();
        writeln!(out, "  {:?}", slo.sli).unwrap();
        let mut line = |name: &str, text: String, default: bool| {
            if !default {
                writeln!(out, "  {name} {text}").unwrap();
            }
        };
        line("description", format!("{:?}", slo.description), slo.description.is_empty());
        line("labels", format!("{:?}", slo.labels), slo.labels.is_empty());
        let alert = |alert: &Option<AlertMeta>| match alert {
            Some(AlertMeta { name, labels, annotations }) => format!("{name:?} {labels:?} {annotations:?}"),
            None => String::new(),
        };
        line("page", alert(&slo.page), slo.page.is_none());
        line("ticket", alert(&slo.ticket), slo.ticket.is_none());
        line("own", format!("{:?}", slo.own), slo.own == Default::default());
        line("no rules", String::new(), !located.no_rules);
    }
    out
}

#[test]
fn good_specs_are_read_as_written_down() {
    for case in cases("good") {
        let (read, diagnostics) = read(&case);
        let text = rendered(&diagnostics);
        assert_eq!(diagnostic::Summary::of(&diagnostics).errors, 0, "{}:\n{text}", case.display());
        golden(&case.with_extension("slos"), &described(&read));
        let beside = case.with_extension("stderr");
        if !text.is_empty() || beside.try_exists().unwrap() {
            golden(&beside, &text);
        }
    }
}

#[test]
fn bad_specs_are_refused_with_the_diagnostics_beside_them() {
    for case in cases("bad") {
        let (_, diagnostics) = read(&case);
        assert_ne!(diagnostic::Summary::of(&diagnostics).errors, 0, "{} is accepted", case.display());
        golden(&case.with_extension("stderr"), &rendered(&diagnostics));
    }
}

#[test]
fn the_conformance_inputs_are_read_without_a_word() {
    for case in cases("conformance") {
        let path = case.join("input.yaml");
        let source = Source::new("input.yaml", fs::read_to_string(&path).unwrap());
        let loaded = spec::load(&source, &LoadOptions { sloth: true, ..LoadOptions::default() });
        assert_eq!(rendered(&loaded.diagnostics), "", "{}", path.display());
        assert!(!loaded.slos.is_empty());
    }
}

#[test]
fn every_place_lies_in_its_source() {
    for case in cases("good").into_iter().chain(cases("bad")) {
        let (read, diagnostics) = read(&case);
        let places = diagnostics.iter().flat_map(|diagnostic| {
            diagnostic.place.iter().chain(diagnostic.related.iter().map(|(place, _)| place)).cloned()
        });
        for place in places {
            assert!(place.source.text().get(place.span.range()).is_some(), "{}", case.display());
        }
        let Read::Specs(loaded) = read else { continue };
        for slo in &loaded.slos {
            let span = slo.places.get(&slo_engine_core::Field::Objective);
            assert!(
                slo.source.text().get(span.range()).is_some_and(|text| !text.is_empty()),
                "{}",
                case.display()
            );
        }
    }
}
