//! `slo-engine explain`.

use std::process::ExitCode;

use crate::app::Io;
use crate::cli::InputArgs;

/// Flags of `explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where specs come from.
    #[command(flatten)]
    pub input: InputArgs,
}

/// Runs it.
///
/// # Errors
/// Not written yet.
pub fn run(args: &Args, _io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    args.input.check()?;
    anyhow::bail!("`explain` is not written yet")
}
