//! Finds the servers' binaries.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Prometheus: `$PROMETHEUS`, else `prometheus` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn prometheus() -> Result<PathBuf> {
    find("PROMETHEUS", &["prometheus"])
}

/// Alertmanager: `$ALERTMANAGER`, else Debian's `prometheus-alertmanager` or upstream's `alertmanager` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn alertmanager() -> Result<PathBuf> {
    find("ALERTMANAGER", &["prometheus-alertmanager", "alertmanager"])
}

/// promtool: `$PROMTOOL`, else `promtool` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn promtool() -> Result<PathBuf> {
    find("PROMTOOL", &["promtool"])
}

/// amtool: `$AMTOOL`, else `amtool` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn amtool() -> Result<PathBuf> {
    find("AMTOOL", &["amtool"])
}

/// Java's launcher: `$JAVA`, else `java` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn java() -> Result<PathBuf> {
    find("JAVA", &["java"])
}

/// The library that lets the clock of a process that preloads it jump: `$LIBFAKETIME`, else Debian's.
///
/// # Errors
/// When there is none.
pub fn libfaketime() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("LIBFAKETIME") {
        return Ok(path.into());
    }
    let architectures = std::fs::read_dir("/usr/lib").context("list /usr/lib")?.filter_map(Result::ok);
    let mut found = architectures.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.is_file()).context("libfaketime is missing: testbed/setup.sh kafka")
}

/// The first line that `program --version` prints.
///
/// # Errors
/// When it cannot be run.
pub fn version(program: &Path) -> Result<String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("run {}", program.display()))?;
    // promtool and old servers print it to standard error.
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
}

/// Runs a checker such as promtool and hands back what it printed.
///
/// # Errors
/// When it exits with a failure; the message holds its output.
pub fn run<I, S>(program: &Path, arguments: I) -> Result<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("run {}", program.display()))?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{} failed ({}):\n{text}", program.display(), output.status);
    }
    Ok(text)
}

fn find(variable: &str, names: &[&str]) -> Result<PathBuf> {
    let path = search_path()?;
    if let Some(named) = env::var_os(variable).filter(|value| !value.is_empty()) {
        return locate(Path::new(&named), &path)
            .with_context(|| format!("{variable} names {}, which is no file", Path::new(&named).display()));
    }
    let Some(found) = names.iter().find_map(|name| locate(Path::new(name), &path)) else {
        bail!(
            "{} is not installed: run `make setup`, or name its binary with {variable}=…",
            names.join(" or ")
        );
    };
    Ok(found)
}

/// `PATH`, and last the servers that `make setup` unpacked.
fn search_path() -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/servers/usr/bin");
    env::join_paths(env::split_paths(&path).chain([unpacked])).context("read PATH")
}

fn locate(program: &Path, path: &OsString) -> Option<PathBuf> {
    let is_file = |candidate: &Path| std::fs::metadata(candidate).is_ok_and(|meta| meta.is_file());
    if program.components().count() > 1 {
        return is_file(program).then(|| program.to_owned());
    }
    env::split_paths(path).map(|folder| folder.join(program)).find(|candidate| is_file(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_up_on_the_path_and_a_path_is_taken_as_it_is() {
        let path = OsString::from("/nowhere:/bin");
        assert_eq!(locate(Path::new("sh"), &path), Some(PathBuf::from("/bin/sh")));
        assert_eq!(locate(Path::new("/bin/sh"), &path), Some(PathBuf::from("/bin/sh")));
        assert_eq!(locate(Path::new("/bin/no-such-program"), &path), None);
        assert_eq!(locate(Path::new("no-such-program"), &path), None);
    }
}
