//! `slo-engine diff`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::Io;

/// Flags of `diff`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Spec file or directory before the change
    pub old: PathBuf,
    /// Spec file or directory after it
    pub new: PathBuf,
}

/// Runs it.
///
/// # Errors
/// Not written yet.
pub fn run(_args: &Args, _io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`diff` is not written yet")
}
