//! Files of temporary directories.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file into a temporary directory: nobody else reads it yet, so it need not appear in one piece.
///
/// # Errors
/// When the file cannot be created or written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("write {}", path.display()))
}
