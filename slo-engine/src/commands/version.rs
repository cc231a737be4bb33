//! `slo-engine version`.

use std::process::ExitCode;

use clap::ValueEnum;

use crate::app::Io;

/// Flags of `version`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How to print the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Only the number.
    Text,
    /// An object, for scripts.
    Json,
}

/// Prints the version.
///
/// # Errors
/// Writing failed.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    match args.output {
        Output::Text => writeln!(io.stdout, "{version}")?,
        Output::Json => {
            let object = serde_json::json!({
                "name": "slo-engine",
                "version": version,
                "compatible_with": { "sloth": "v0.16.0" },
            });
            writeln!(io.stdout, "{object:#}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
