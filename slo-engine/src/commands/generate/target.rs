//! Where the output goes, and what its parts are called.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::input::Input;

/// Where the output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `-o -`
    Stdout,
    /// One file for everything.
    File(PathBuf),
    /// A file per spec file, at the same path below this directory.
    Tree(PathBuf),
}

impl Target {
    /// What `-o` means: a directory if it is one (or ends in a slash), and for a directory of specs also if it does not
    /// exist and has no extension of YAML files.
    pub(super) fn of(out: &Path, from_directory: bool, input: &Path) -> anyhow::Result<Self> {
        if out == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let slash = out.as_os_str().as_encoded_bytes().ends_with(b"/");
        let tree = match fs::metadata(out) {
            Ok(meta) if meta.is_dir() => true,
            Ok(_) if slash => bail!("{}: not a directory", out.display()),
            Ok(_) => false,
            Err(_) => {
                let extension = out.extension().and_then(|extension| extension.to_str());
                slash || (from_directory && !matches!(extension, Some("yaml" | "yml")))
            }
        };
        if !tree {
            if same(input, out) {
                bail!("input and output can't be the same file: {}", input.display());
            }
            return Ok(Self::File(out.to_owned()));
        }
        if from_directory && same(input, out) {
            bail!("input and output can't be the same directory: {}", input.display());
        }
        Ok(Self::Tree(out.to_owned()))
    }
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// Where an input's output stands in a tree.
pub(super) fn relative(input: &Input) -> PathBuf {
    match input {
        Input::Stdin => PathBuf::from("stdin.yaml"),
        Input::File { relative, .. } => relative.clone(),
    }
}

/// Name of a ruler namespace for an input: its path below the input directory without extension, in one word.
pub(super) fn namespace_name(input: &Input) -> String {
    let words: Vec<_> = relative(input)
        .with_extension("")
        .components()
        .map(|component| component.as_os_str().to_string_lossy().into_owned())
        .collect();
    words.join("-")
}

/// The same as a name of a Kubernetes object: lower case letters, digits, `-` and `.`, beginning and ending well, at most
/// 253 characters.
pub(super) fn object_name(input: &Input) -> String {
    let name: String = namespace_name(input)
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' { c } else { '-' })
        .take(253)
        .collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "slos".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_input(relative: &str) -> Input {
        Input::File { path: PathBuf::from("x").join(relative), relative: PathBuf::from(relative) }
    }

    #[test]
    fn names_follow_paths() {
        for (path, namespace, object) in [
            ("shop.yaml", "shop", "shop"),
            ("Team A/Shop_1.v2.yml", "Team A-Shop_1.v2", "team-a-shop-1.v2"),
            ("--.yaml", "--", "slos"),
        ] {
            assert_eq!(namespace_name(&mk_input(path)), namespace);
            assert_eq!(object_name(&mk_input(path)), object);
        }
        assert_eq!(namespace_name(&Input::Stdin), "stdin");
    }

    #[test]
    fn a_path_says_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let input = Path::new("/nonexistent");
        let of = |out: &Path, from_directory| Target::of(out, from_directory, input).unwrap();
        assert_eq!(of(Path::new("-"), true), Target::Stdout);
        assert_eq!(of(directory.path(), false), Target::Tree(directory.path().to_owned()));
        assert_eq!(of(&path("new"), false), Target::File(path("new")));
        assert_eq!(of(&path("new"), true), Target::Tree(path("new")));
        assert_eq!(of(&path("new/"), false), Target::Tree(path("new/")));
        assert_eq!(of(&path("new.yaml"), true), Target::File(path("new.yaml")));
        let error = Target::of(directory.path(), true, directory.path()).unwrap_err().to_string();
        assert!(error.starts_with("input and output can't be the same directory"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Target::of(file.path(), false, file.path()).unwrap_err().to_string();
        assert!(error.starts_with("input and output can't be the same file"), "{error}");
    }
}
