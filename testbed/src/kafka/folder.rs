//! A cluster's folder, removed however we end.

use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// Waits until its input ends, which it does when we end, and removes the folder. Twice, should a broker that is being
/// killed still write.
const REMOVE: &str = r#"read -r word; [ "$word" = keep ] || rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }"#;

/// A temporary folder. A value that lives until the process ends is not dropped, so a small process removes the folder; it
/// stays with `KEEP=1` or after [`Folder::keep`].
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    remover: Mutex<Option<Child>>,
}

impl Folder {
    /// Makes one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("testbed-kafka-").tempdir().context("make a folder")?;
        let path = folder.keep();
        let remover = Command::new("/bin/sh")
            .args(["-c", REMOVE, "remover"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C ends us, not it.
            .process_group(0)
            .spawn()
            .context("start the folder's remover")?;
        let folder = Self { path, remover: Mutex::new(Some(remover)) };
        if std::env::var_os("KEEP").is_some_and(|value| value == "1") {
            folder.keep();
        }
        Ok(folder)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets it stay.
    pub(crate) fn keep(&self) {
        self.end(b"keep\n");
    }

    fn end(&self, word: &[u8]) {
        let Some(mut remover) = self.remover.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        if let Some(mut input) = remover.stdin.take() {
            // It may have been killed: then the folder stays anyhow.
            input.write_all(word).ok();
        }
        drop(remover.wait());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.end(b"\n");
    }
}
