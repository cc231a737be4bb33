//! All specs of a run at once, for the commands that look at them rather than write rules.

use std::path::Path;

use daemon_kit::cli::UsageError;
use daemon_kit::diagnostic::{self, Diagnostic, Format, Level};
use slo_engine_core::{Catalogue, PeriodWindows, Slo};

use crate::app::Io;
use crate::cli::InputArgs;
use crate::input::{self, Input};
use crate::spec::{self, LoadOptions, Loaded};

/// Findings that are warnings because Sloth ignores them without a word; `--strict` makes them errors.
pub const STRICT: [&str; 3] = ["unknown-key", "duplicate-key", "coerced-scalar"];

/// What was read.
#[derive(Debug, Default)]
pub struct Specs {
    /// SLOs, objects and what was said about them.
    pub loaded: Loaded,
    /// How many texts were read.
    pub files: usize,
}

/// Reads what `-i`, `-e` and `-n` name. A file that cannot be read is a diagnostic, so that the others are still looked at.
///
/// # Errors
/// Wrong flags, or nothing to read.
pub fn read(args: &InputArgs, sloth: bool, io: &mut Io<'_>) -> anyhow::Result<Specs> {
    args.check()?;
    let inputs = input::discover(args)?;
    let options = LoadOptions {
        default_period: args.default_slo_period,
        extra_labels: args.labels(),
        sloth,
        ..LoadOptions::default()
    };
    Ok(read_inputs(&inputs, &options, io))
}

/// As [`read`], of a path without filters and with default options.
///
/// # Errors
/// As [`read`].
pub fn read_path(path: &Path, options: &LoadOptions, io: &mut Io<'_>) -> anyhow::Result<Specs> {
    Ok(read_inputs(&input::discover_all(path)?, options, io))
}

fn read_inputs(inputs: &[Input], options: &LoadOptions, io: &mut Io<'_>) -> Specs {
    let mut unreadable = Vec::new();
    let mut sources = Vec::with_capacity(inputs.len());
    for input in inputs {
        match input.read(io.stdin) {
            Ok(source) => sources.push(source),
            Err(error) => unreadable.push(Diagnostic::error("unreadable", format!("{error:#}"))),
        }
    }
    let mut loaded = spec::load_sources(&sources, options);
    loaded.diagnostics.append(&mut unreadable);
    tracing::debug!(files = inputs.len(), slos = loaded.slos.len(), "specs read");
    Specs { loaded, files: inputs.len() }
}

/// The alert windows: those of `--slo-period-windows-path`, or the built-in ones.
///
/// # Errors
/// The directory cannot be read, or what is in it is wrong; everything wrong is written to stderr before.
pub fn catalogue(args: &InputArgs, io: &mut Io<'_>) -> anyhow::Result<Catalogue> {
    catalogue_at(args.slo_period_windows_path.as_deref(), io)
}

/// As [`catalogue`], of a directory.
///
/// # Errors
/// As [`catalogue`].
pub fn catalogue_at(path: Option<&Path>, io: &mut Io<'_>) -> anyhow::Result<Catalogue> {
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(Catalogue::built_in());
    };
    let mut sources = Vec::new();
    for input in input::discover_all(path)? {
        sources.push(input.read(io.stdin)?);
    }
    let (catalogue, diagnostics) = spec::load_windows(&sources);
    let color = io.color_err;
    for diagnostic in &diagnostics {
        diagnostic::write(io.stderr, diagnostic, Format::Text { color })?;
    }
    if diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error) {
        anyhow::bail!("{}: the alert windows cannot be used", path.display());
    }
    Ok(catalogue)
}

/// The windows of an SLO's period, scaled when the catalogue has none for it.
///
/// # Errors
/// The period is too short.
pub fn windows(catalogue: &Catalogue, slo: &Slo) -> Result<PeriodWindows, UsageError> {
    catalogue.for_period(slo.period, true).map_err(|error| UsageError(format!("{}: {error}", slo.id)))
}
