//! Debian's Alertmanager, unpacked instead of installed.
//!
//! It opens its templates by an absolute path that only an installed package fills, and no flag changes that. A copy of the
//! program in which a path of the same length leads to the working folder finds links to them there.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const HOME: &str = "/usr/share/prometheus/alertmanager";
/// The working folder, in as many bytes.
const HERE: &str = "./././././././././././././././././";
const TEMPLATES: [&str; 2] = ["default.tmpl", "email.tmpl"];

/// The program to start in `folder`: `program` itself, unless it needs the copy.
///
/// # Errors
/// When the copy cannot be written beside the program, or a link into the folder.
pub(super) fn fit(program: PathBuf, folder: &Path) -> Result<PathBuf> {
    let program = fs::canonicalize(&program).with_context(|| program.display().to_string())?;
    let Some(templates) = program.ancestors().nth(2).map(|root| root.join("share/prometheus/alertmanager"))
    else {
        return Ok(program);
    };
    if is_file(&Path::new(HOME).join("default.tmpl")) || !is_file(&templates.join("default.tmpl")) {
        return Ok(program);
    }
    for name in TEMPLATES {
        symlink(templates.join(name), folder.join(name)).with_context(|| format!("link {name}"))?;
    }
    let copy = program.with_extension("unpacked");
    if !is_file(&copy) {
        relocate(&program, &copy).with_context(|| format!("write {}", copy.display()))?;
    }
    Ok(copy)
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file())
}

fn relocate(program: &Path, copy: &Path) -> Result<()> {
    let mut bytes = fs::read(program)?;
    let found: Vec<usize> = bytes
        .windows(HOME.len())
        .enumerate()
        .filter_map(|(at, window)| (window == HOME.as_bytes()).then_some(at))
        .collect();
    for at in found {
        if let Some(place) = bytes.get_mut(at..at + HOME.len()) {
            place.copy_from_slice(HERE.as_bytes());
        }
    }
    let mut file = tempfile::NamedTempFile::new_in(copy.parent().context("a file without a folder")?)?;
    file.write_all(&bytes)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o755))?;
    file.persist(copy)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpacked_program_gets_a_copy_that_looks_for_its_templates_beside_it() {
        assert_eq!(HERE.len(), HOME.len());
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("usr/bin/alertmanager");
        let templates = root.path().join("usr/share/prometheus/alertmanager");
        for folder in [program.parent().unwrap(), &templates] {
            fs::create_dir_all(folder).unwrap();
        }
        crate::files::write(&program, &format!("#!/bin/sh\ncat {HOME}/default.tmpl\n")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(&program).unwrap();
        assert_eq!(fit(program.clone(), folder.path()).unwrap(), real, "no templates, nothing to find");
        if is_file(&Path::new(HOME).join("default.tmpl")) {
            return;
        }
        for name in TEMPLATES {
            crate::files::write(&templates.join(name), name).unwrap();
        }
        let copy = fit(program, folder.path()).unwrap();
        let said = std::process::Command::new("sh").arg(copy).current_dir(folder.path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "default.tmpl");
    }
}
