//! `quota-enforcer man`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use daemon_kit::cli;

use crate::app::Io;
use crate::cli::Cli;

/// Flags of `man`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    quota-enforcer man plan | man -l -\n  \
    quota-enforcer man audit verify")]
pub struct Args {
    /// Which command's page; without it the page of the whole program
    pub command: Vec<String>,
}

/// Prints a manual page in roff.
///
/// # Errors
/// Writing failed, or there is no such command.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    cli::man(Cli::command(), &args.command, io.stdout)?;
    Ok(ExitCode::SUCCESS)
}
