//! Rule files on disk: one file with its parts, or a tree that mirrors the tree of specs.
//!
//! All files of a run are completed first and put in place together, so that an error leaves every old file as it was.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::atomic_file::{AtomicFile, Finished};
use crate::output::{Parts, is_ours};

/// One output file, which `--max-bytes` may split into numbered ones.
#[derive(Debug)]
pub struct SingleFile {
    path: PathBuf,
    open: Option<AtomicFile>,
    finished: Vec<Finished>,
}

impl SingleFile {
    /// Output to this path and, if it is split, to its numbered neighbours.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: None, finished: Vec::new() }
    }

    /// Puts the files in place and removes parts that an earlier, longer output left.
    ///
    /// Gives back how many files it has.
    ///
    /// # Errors
    /// A file could not be replaced; it and those after it are as they were.
    pub fn commit(mut self) -> io::Result<usize> {
        self.close()?;
        let parts = self.finished.len();
        for file in self.finished {
            file.commit()?;
        }
        remove_stale_parts(&self.path, parts)?;
        Ok(parts)
    }

    fn close(&mut self) -> io::Result<()> {
        if let Some(open) = self.open.take() {
            self.finished.push(open.finish()?);
        }
        Ok(())
    }
}

impl Parts for SingleFile {
    fn start(&mut self, part: usize) -> io::Result<()> {
        self.close()?;
        self.open = Some(AtomicFile::create(&part_path(&self.path, part))?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }
}

/// A directory of rule files. New versions are gathered in a hidden directory below it until all of them are complete.
#[derive(Debug)]
pub struct RuleTree {
    root: PathBuf,
    staging: TempDir,
    staged: AtomicUsize,
    /// This run made the directory: it goes if nothing is put into it.
    new_root: bool,
}

/// The complete new versions of one output of a tree.
#[derive(Debug)]
pub struct StagedFiles {
    relative: PathBuf,
    files: Vec<PathBuf>,
}

impl RuleTree {
    /// The tree below this directory, which is made if it does not exist.
    ///
    /// # Errors
    /// The directory cannot be made or written to.
    pub fn open(root: &Path) -> io::Result<Self> {
        let new_root = !root.try_exists()?;
        fs::create_dir_all(root)?;
        let staging = tempfile::Builder::new().prefix(".slo-engine-").tempdir_in(root)?;
        Ok(Self { root: root.to_owned(), staging, staged: AtomicUsize::new(0), new_root })
    }

    /// Begins an output at a path below the root. Any thread may do so.
    #[must_use]
    pub fn output(&self, relative: &Path) -> TreeOutput<'_> {
        TreeOutput { tree: self, relative: relative.to_owned(), open: None, files: Vec::new() }
    }

    /// Whether the file at this path below the root exists and was written by this program.
    #[must_use]
    pub fn wrote(&self, relative: &Path) -> bool {
        wrote(&self.root.join(relative)).unwrap_or(false)
    }

    /// Puts all new versions in place. Gives back how many files they are.
    ///
    /// # Errors
    /// A file could not be replaced: which, and why. Those before it are new, those after it old.
    pub fn commit(self, outputs: Vec<StagedFiles>) -> Result<usize, (PathBuf, io::Error)> {
        let mut made = PathBuf::new();
        let mut files = 0;
        for output in outputs {
            let first = self.root.join(&output.relative);
            let parts = output.files.len();
            files += parts;
            for (index, staged) in output.files.into_iter().enumerate() {
                let target = part_path(&first, index + 1);
                let parent = target.parent().unwrap_or(&self.root);
                if parent != made {
                    fs::create_dir_all(parent).map_err(|error| (parent.to_owned(), error))?;
                    made = parent.to_owned();
                }
                replace(&staged, &target).map_err(|error| (target, error))?;
            }
            remove_stale_parts(&first, parts).map_err(|error| (first, error))?;
        }
        Ok(files)
    }

    /// Leaves everything as it was.
    pub fn abandon(self) {
        let Self { root, staging, new_root, .. } = self;
        drop(staging);
        if new_root {
            // Not empty only if somebody else wrote into it meanwhile.
            fs::remove_dir(root).ok();
        }
    }
}

/// One output of a tree in the making.
#[derive(Debug)]
pub struct TreeOutput<'a> {
    tree: &'a RuleTree,
    relative: PathBuf,
    open: Option<BufWriter<File>>,
    files: Vec<PathBuf>,
}

impl TreeOutput<'_> {
    /// Completes the output. No file stays open.
    ///
    /// # Errors
    /// Writing failed.
    pub fn finish(mut self) -> io::Result<StagedFiles> {
        self.close()?;
        Ok(StagedFiles { relative: self.relative, files: self.files })
    }

    fn close(&mut self) -> io::Result<()> {
        self.open.take().map_or(Ok(()), |mut file| file.flush())
    }
}

impl Parts for TreeOutput<'_> {
    fn start(&mut self, _part: usize) -> io::Result<()> {
        self.close()?;
        let number = self.tree.staged.fetch_add(1, Ordering::Relaxed);
        let path = self.tree.staging.path().join(number.to_string());
        self.open = Some(BufWriter::with_capacity(32 << 10, File::create_new(&path)?));
        self.files.push(path);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }
}

/// Removes the rule files below `root` that this program wrote and `keep` (asked with their paths below `root`) does not
/// want, with the directories that become empty. Gives back what it removed, in order.
///
/// # Errors
/// Which file or directory, and why.
pub fn prune(root: &Path, keep: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut removed = Vec::new();
    prune_below(root, Path::new(""), keep, &mut removed)?;
    removed.sort();
    Ok(removed)
}

fn prune_below(
    directory: &Path,
    relative: &Path,
    keep: &dyn Fn(&Path) -> bool,
    removed: &mut Vec<PathBuf>,
) -> Result<bool, (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let (mut left, mut pruned) = (0, false);
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let entry = entry.map_err(at(directory))?;
        let path = entry.path();
        let relative = relative.join(entry.file_name());
        let kind = entry.file_type().map_err(at(&path))?;
        let gone = if kind.is_dir() {
            let emptied = prune_below(&path, &relative, keep, removed)?;
            if emptied {
                fs::remove_dir(&path).map_err(at(&path))?;
            }
            emptied
        } else if kind.is_file()
            && is_rule_file(&path)
            && !keep(&relative)
            && wrote(&path).map_err(at(&path))?
        {
            fs::remove_file(&path).map_err(at(&path))?;
            removed.push(path);
            true
        } else {
            false
        };
        left += usize::from(!gone);
        pruned |= gone;
    }
    Ok(pruned && left == 0)
}

fn is_rule_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

/// Whether this program wrote the file.
fn wrote(path: &Path) -> io::Result<bool> {
    let mut beginning = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut beginning)?;
    Ok(is_ours(&beginning))
}

/// Between the stem of a split file's name and the number of the part.
const PART: &str = ".part";

/// `rules.yaml`, `rules.part2.yaml`, …
fn part_path(path: &Path, part: usize) -> PathBuf {
    if part < 2 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("{PART}{part}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// The file whose part this would be: `rules.yaml` for `rules.part2.yaml`, and for itself.
#[must_use]
pub fn whole_path(path: &Path) -> PathBuf {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.rsplit_once(PART));
    match stem {
        Some((whole, number)) if number.parse::<usize>().is_ok_and(|number| number > 1) => {
            let name = path.extension().map_or_else(
                || whole.to_owned(),
                |extension| format!("{whole}.{}", extension.to_string_lossy()),
            );
            path.with_file_name(name)
        }
        _ => path.to_owned(),
    }
}

/// Parts after the last one written would be read beside the new files.
fn remove_stale_parts(path: &Path, parts: usize) -> io::Result<()> {
    for part in parts.max(1) + 1.. {
        let stale = part_path(path, part);
        let mut beginning = Vec::new();
        match File::open(&stale) {
            Ok(file) => file.take(128).read_to_end(&mut beginning)?,
            Err(_) => return Ok(()),
        };
        let mark = format!(", part {part})");
        if !is_ours(&beginning) || !beginning.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            return Ok(());
        }
        fs::remove_file(&stale)?;
    }
    Ok(())
}

/// Moves a staged file to its place, with the permissions of what was there; a link stays a link.
fn replace(staged: &Path, target: &Path) -> io::Result<()> {
    let target = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => target.to_owned(),
        Err(error) => return Err(error),
        Ok(old) => {
            let target = if old.is_symlink() { fs::canonicalize(target)? } else { target.to_owned() };
            fs::set_permissions(staged, fs::metadata(&target)?.permissions())?;
            target
        }
    };
    match fs::rename(staged, &target) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let mut file = AtomicFile::create(&target)?;
            io::copy(&mut File::open(staged)?, &mut file)?;
            file.finish()?.commit()
        }
        result => result,
    }
}

#[cfg(test)]
mod tests;
