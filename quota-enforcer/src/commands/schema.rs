//! `quota-enforcer schema`: the JSON Schema of the configuration, for editors.

use std::process::ExitCode;

use crate::app::Io;
use crate::spec::SCHEMA;

/// Prints the schema.
///
/// # Errors
/// Writing failed.
pub fn run(io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    writeln!(io.stdout, "{}", SCHEMA.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
