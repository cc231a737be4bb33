//! `slo-engine schema`.

use std::process::ExitCode;

use crate::app::Io;

/// Flags of `schema`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// Not written yet.
pub fn run(_args: &Args, _io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`schema` is not written yet")
}
