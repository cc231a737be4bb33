//! `quota-enforcer completions`.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::app::Io;
use crate::cli::Cli;

/// Flags of `completions`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  quota-enforcer completions bash > /etc/bash_completion.d/quota-enforcer")]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Prints the completion script.
///
/// # Errors
/// Writing failed.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    // The generator panics when its stream fails, so it gets one that cannot.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "quota-enforcer", &mut script);
    io.stdout.write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
