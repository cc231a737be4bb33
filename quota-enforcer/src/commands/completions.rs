//! `quota-enforcer completions`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use daemon_kit::cli::{self, Shell};

use crate::app::Io;
use crate::cli::Cli;

/// Flags of `completions`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  quota-enforcer completions bash > /etc/bash_completion.d/quota-enforcer")]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the completion script.
///
/// # Errors
/// Writing failed.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    cli::completions(Cli::command(), args.shell, io.stdout)?;
    Ok(ExitCode::SUCCESS)
}
