//! Which files are specs, and their texts.

use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use daemon_kit::cli::UsageError;
use daemon_kit::source::Source;
use regex_lite::Regex;

use crate::cli::InputArgs;

/// A spec larger than this is refused unread.
pub const MAX_BYTES: u64 = 64 << 20;

/// Where one text comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file, with its path below the input directory (its name alone when the input is that file).
    File {
        /// As it can be opened.
        path: PathBuf,
        /// Where an output tree mirrors it.
        relative: PathBuf,
    },
}

impl Input {
    /// Reads it. Only one file is open at a time, however many there are.
    ///
    /// # Errors
    /// Not readable, too large, or not UTF-8.
    pub fn read(&self, stdin: &mut dyn Read) -> anyhow::Result<Source> {
        let (name, bytes) = match self {
            Self::Stdin => ("<stdin>".to_owned(), read_limited(stdin, 0).context("<stdin>")?),
            Self::File { path, .. } => {
                let name = path.display().to_string();
                let mut file = fs::File::open(path).with_context(|| name.clone())?;
                // One more byte than there is, so that the end is seen without growing.
                let length = file.metadata().map_or(0, |meta| meta.len().min(MAX_BYTES) + 1);
                let bytes = read_limited(&mut file, length).with_context(|| name.clone())?;
                (name, bytes)
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source::new(name, text)),
            Err(error) => bail!("{name}: not UTF-8 at byte {}", error.utf8_error().valid_up_to()),
        }
    }
}

fn read_limited(stream: &mut dyn Read, length: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    stream.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("larger than {} MiB", MAX_BYTES >> 20);
    }
    Ok(bytes)
}

/// What `-i` names, filtered by `-e` and `-n`, in the order of paths.
///
/// As in Sloth the filters see the path as it is walked (the input path and what is below it), only `.yml` and `.yaml`
/// files, in any case, count in a directory, and a file named directly is taken whatever its name.
///
/// # Errors
/// A wrong regular expression, a path that cannot be read, or a directory without specs.
pub fn discover(args: &InputArgs) -> anyhow::Result<Vec<Input>> {
    let filter = Filter::new(args)?;
    discover_path(&args.input, &filter)
}

/// As [`discover`], for a path without filters.
///
/// # Errors
/// As [`discover`].
pub fn discover_all(path: &Path) -> anyhow::Result<Vec<Input>> {
    discover_path(path, &Filter::default())
}

fn discover_path(path: &Path, filter: &Filter) -> anyhow::Result<Vec<Input>> {
    if path == Path::new("-") {
        return Ok(vec![Input::Stdin]);
    }
    let meta = fs::metadata(path).with_context(|| path.display().to_string())?;
    if !meta.is_dir() {
        let relative = path.file_name().map(PathBuf::from).unwrap_or_default();
        return Ok(vec![Input::File { path: path.to_owned(), relative }]);
    }
    let mut files = Vec::new();
    let walk = Walk { filter, shown: cleaned(path) };
    walk.directory(path, Path::new(""), &mut files)?;
    files.sort();
    if files.is_empty() {
        bail!("{}: no .yml or .yaml files found", path.display());
    }
    Ok(files)
}

struct Walk<'a> {
    filter: &'a Filter,
    /// The input path as the filters see it.
    shown: PathBuf,
}

impl Walk<'_> {
    fn directory(&self, dir: &Path, relative: &Path, files: &mut Vec<Input>) -> anyhow::Result<()> {
        for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
            let entry = entry.with_context(|| dir.display().to_string())?;
            let path = entry.path();
            let relative = relative.join(entry.file_name());
            let kind = entry.file_type().with_context(|| path.display().to_string())?;
            // A link to a file is followed (Kubernetes mounts ConfigMaps so); one to a directory is not, it may be a loop.
            if kind.is_dir() {
                self.directory(&path, &relative, files)?;
            } else if is_yaml(&path)
                && self.filter.takes(&self.shown.join(&relative))
                && (kind.is_file() || points_to_file(&path))
            {
                files.push(Input::File { path, relative });
            }
        }
        Ok(())
    }
}

/// `./slos/../slos` as `slos` and `.` as nothing, by the text alone: what Go's `filepath.Walk` makes of the paths that
/// filters see.
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            Component::ParentDir if clean.has_root() => {}
            component => clean.push(component),
        }
    }
    clean
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("yml") || extension.eq_ignore_ascii_case("yaml")
    })
}

fn points_to_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file())
}

#[derive(Default)]
struct Filter {
    exclude: Option<Regex>,
    include: Option<Regex>,
}

impl Filter {
    fn new(args: &InputArgs) -> Result<Self, UsageError> {
        let compile = |flag: &str, regex: &Option<String>| match regex.as_deref() {
            None | Some("") => Ok(None),
            Some(regex) => {
                Regex::new(regex).map(Some).map_err(|error| UsageError(format!("{flag} {regex}: {error}")))
            }
        };
        Ok(Self {
            exclude: compile("--fs-exclude", &args.fs_exclude)?,
            include: compile("--fs-include", &args.fs_include)?,
        })
    }

    fn takes(&self, path: &Path) -> bool {
        let path = path.to_string_lossy();
        !self.exclude.as_ref().is_some_and(|regex| regex.is_match(&path))
            && self.include.as_ref().is_none_or(|regex| regex.is_match(&path))
    }
}
