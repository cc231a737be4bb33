//! `quota-enforcer man`.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::app::Io;
use crate::cli::Cli;

/// Flags of `man`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  quota-enforcer man plan | man -l -")]
pub struct Args {
    /// Which command's page; without it the page of the whole program
    pub command: Option<String>,
}

/// Prints a manual page in roff.
///
/// # Errors
/// Writing failed, or there is no such command.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let mut program = Cli::command();
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| crate::cli::UsageError(format!("there is no command `{name}`")))?,
    };
    clap_mangen::Man::new(page).render(&mut io.stdout)?;
    Ok(ExitCode::SUCCESS)
}
