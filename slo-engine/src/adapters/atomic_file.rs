//! A file that is replaced as a whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

/// A new version of a file, in the making. Dropped before [`Finished::commit`], it leaves the old version as it was.
///
/// The new version keeps the permissions of the old one; a new file gets what the umask allows. A link stays a link: the
/// file it points to is replaced. What is no regular file (`/dev/stdout`, a pipe) cannot be replaced and is written to at
/// the end.
///
/// Nothing is synced to disk: rules are made again from their specs after a power cut.
#[derive(Debug)]
pub struct AtomicFile {
    file: BufWriter<NamedTempFile>,
    target: Target,
}

/// A complete new version that waits to take its place. Holds no open file.
#[derive(Debug)]
pub struct Finished {
    temp: TempPath,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Replace(PathBuf),
    /// Cannot be replaced by a rename.
    WriteTo(PathBuf),
}

impl AtomicFile {
    /// Begins a new version of `path`. The directory must exist.
    ///
    /// # Errors
    /// The temporary file beside it cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let old = match fs::metadata(path) {
            Ok(meta) => Some(meta),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let (target, permissions) = match old {
            Some(meta) if meta.is_file() => {
                (Target::Replace(fs::canonicalize(path)?), Some(meta.permissions()))
            }
            Some(meta) if meta.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Some(_) => (Target::WriteTo(path.to_owned()), None),
            None => (Target::Replace(path.to_owned()), None),
        };
        let temp = match &target {
            Target::Replace(path) => temp_beside(path)?,
            Target::WriteTo(_) => NamedTempFile::new()?,
        };
        if let Some(permissions) = permissions {
            temp.as_file().set_permissions(permissions)?;
        }
        Ok(Self { file: BufWriter::with_capacity(64 << 10, temp), target })
    }

    /// Completes the new version and closes it; the old one is still in place.
    ///
    /// # Errors
    /// Writing failed.
    pub fn finish(self) -> io::Result<Finished> {
        let temp = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Finished { temp: temp.into_temp_path(), target: self.target })
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Finished {
    /// Puts the new version in the old one's place.
    ///
    /// # Errors
    /// The rename (or the writing to what is no regular file) failed; the old version is still there.
    pub fn commit(self) -> io::Result<()> {
        match self.target {
            Target::Replace(path) => self.temp.persist(path).map_err(|error| error.error),
            Target::WriteTo(path) => {
                let mut target = fs::OpenOptions::new().write(true).open(path)?;
                io::copy(&mut File::open(&self.temp)?, &mut target)?;
                target.flush()
            }
        }
    }
}

fn temp_beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".slo-engine-").suffix(".tmp");
    if let Some(permissions) = umask_permissions() {
        builder.permissions(permissions);
    }
    builder.tempfile_in(directory)
}

#[cfg(unix)]
fn umask_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt as _;
    // The umask takes away what must not be, as for any new file.
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn umask_permissions() -> Option<Permissions> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_old_version_stays_until_the_commit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rules.yaml");
        let write = |text: &str| {
            let mut file = AtomicFile::create(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file
        };
        write("one").finish().unwrap().commit().unwrap();
        drop(write("two"));
        drop(write("three").finish().unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        write("four").finish().unwrap().commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four");
        assert_eq!(names(directory.path()), ["rules.yaml"]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_are_kept() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        AtomicFile::create(&file).unwrap().finish().unwrap().commit().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_ne!(mode(&file) & 0o044, 0, "a new file is not private");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        let mut new = AtomicFile::create(&link).unwrap();
        new.write_all(b"new").unwrap();
        new.finish().unwrap().commit().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(mode(&file), 0o640);
    }

    #[test]
    fn a_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(AtomicFile::create(directory.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }
}
