//! `quota-enforcer version`.

use std::process::ExitCode;

use crate::app::Io;
use crate::cli::OutputArg;

/// Flags of `version`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputArg::Text)]
    pub output: OutputArg,
}

/// Prints the version.
///
/// # Errors
/// Writing failed.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    match args.output {
        OutputArg::Text => writeln!(io.stdout, "{version}")?,
        OutputArg::Json => {
            super::json(io, &serde_json::json!({ "name": "quota-enforcer", "version": version }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
