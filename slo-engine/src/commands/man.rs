//! `slo-engine man`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use daemon_kit::cli;

use crate::app::Io;
use crate::cli::Cli;

/// Flags of `man`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  slo-engine man generate | man -l -")]
pub struct Args {
    /// Which command's page; without it the page of the whole program
    pub command: Option<String>,
}

/// Prints a manual page in roff.
///
/// # Errors
/// Writing failed, or there is no such command.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    cli::man(Cli::command(), args.command.as_slice(), io.stdout)?;
    Ok(ExitCode::SUCCESS)
}
