//! `slo-engine schema`: JSON Schemas of the spec formats, for editors.

use std::process::ExitCode;

use daemon_kit::cli::UsageError;

use crate::app::Io;
use crate::spec::schema::{SCHEMAS, schema};

/// Flags of `schema`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    slo-engine schema > prometheus-v1.json\n  \
    slo-engine schema --list\n\n\
    An editor with the YAML language server checks a file whose first line is\n  \
    # yaml-language-server: $schema=prometheus-v1.json")]
pub struct Args {
    /// Which format; without it Sloth's prometheus/v1
    pub format: Option<String>,
    /// Name the formats instead
    #[arg(long, conflicts_with = "format")]
    pub list: bool,
}

/// Prints a schema.
///
/// # Errors
/// There is no such format, or writing failed.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    if args.list {
        for known in SCHEMAS {
            writeln!(io.stdout, "{}  {}", known.name, known.title)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let name = args.format.as_deref().unwrap_or("prometheus-v1");
    let found = schema(name).ok_or_else(|| {
        let names = SCHEMAS.map(|known| known.name).join(", ");
        UsageError(format!("there is no format `{name}`; there are: {names}"))
    })?;
    writeln!(io.stdout, "{}", found.json.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
