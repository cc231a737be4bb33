//! Running the program, and comparing what it says with what it said before.

use std::path::{Path, PathBuf};

use crate::cli::{Ran, slo_engine};

/// Runs the program in the package's directory.
pub(crate) fn run(args: &[&str], stdin: &str) -> Ran {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Help is wrapped to the terminal.
    slo_engine(args.iter().copied()).cwd(here).env("COLUMNS", "100").stdin(stdin).run()
}

/// Runs a command line (split at spaces) and compares command, stdout, stderr and exit code with
/// `testdata/cli/golden/NAME.txt`.
pub(crate) fn golden_run(name: &str, line: &str) {
    golden_run_masked(name, line, str::to_owned);
}

/// As [`golden_run`], with stdout changed before it is compared.
pub(crate) fn golden_run_masked(name: &str, line: &str, mask: fn(&str) -> String) {
    let args: Vec<&str> = line.split_whitespace().collect();
    let ran = run(&args, "");
    let stderr = if ran.stderr.is_empty() { String::new() } else { format!("--- stderr\n{}", ran.stderr) };
    let shown = format!("$ slo-engine {line}\n{}{stderr}--- exit code {}\n", mask(&ran.stdout), ran.code);
    golden(&Path::new("testdata/cli/golden").join(format!("{name}.txt")), &shown);
}

/// Compares a text with a file below the package; with `UPDATE_GOLDEN=1` writes the file instead.
#[allow(clippy::disallowed_methods, reason = "a test's own files need no atomic replacement")]
pub(crate) fn golden(path: &Path, text: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", path.display()));
    assert!(
        text == expected,
        "{} differs (UPDATE_GOLDEN=1 rewrites it):\n{text}\n--- expected\n{expected}",
        path.display()
    );
}
