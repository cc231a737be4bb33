//! `quota-enforcer man`.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::app::Io;
use crate::cli::{Cli, UsageError};

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
    let mut page = Cli::command();
    page.build();
    for name in &args.command {
        let Some(inner) = page.find_subcommand(name).cloned() else {
            return Err(UsageError(format!("there is no command `{}`", args.command.join(" "))).into());
        };
        page = inner;
    }
    let source = concat!("quota-enforcer ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(page).source(source).render(&mut io.stdout)?;
    Ok(ExitCode::SUCCESS)
}
