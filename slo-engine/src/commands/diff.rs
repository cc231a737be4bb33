//! `slo-engine diff`: what changes in alerting between two spec trees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::ValueEnum;
use daemon_kit::cli::{EXIT_FINDINGS, UsageError};
use daemon_kit::diagnostic::{self, Format, Level};
use serde_json::{Value, json};
use slo_engine_core::diff::{Change, diff};
use slo_engine_core::{PromDuration, Slo, number};

use crate::app::Io;
use crate::cli::parse_period;
use crate::spec::LoadOptions;
use crate::specs;

/// Flags of `diff`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Exit code: 0, or with --exit-code 1 when something changes.\n\nExamples:\n  \
    slo-engine diff slos.old/ slos/\n  \
    git show main:slo.yaml | slo-engine diff - slo.yaml")]
pub struct Args {
    /// Spec file, directory or `-` before the change
    pub old: PathBuf,
    /// Spec file, directory or `-` after it
    pub new: PathBuf,
    /// Who reads the changes
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputArg::Text)]
    pub output: OutputArg,
    /// End with 1 when something changes
    #[arg(long)]
    pub exit_code: bool,
    /// Error budget period of SLOs that name none
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_period)]
    pub default_slo_period: PromDuration,
    /// Directory of AlertWindows files, which replace the built-in 30d and 28d windows
    #[arg(long, value_name = "DIR")]
    pub slo_period_windows_path: Option<PathBuf>,
}

/// Who reads the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputArg {
    /// People.
    Text,
    /// Scripts: one JSON object.
    Json,
}

/// What happened to one SLO.
enum Fate<'a> {
    Added(&'a Slo),
    Removed(&'a Slo),
    Changed(&'a Slo, Vec<Change>),
}

/// Says what changes.
///
/// # Errors
/// Either side cannot be read.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    if args.old == Path::new("-") && args.new == Path::new("-") {
        return Err(UsageError("only one of OLD and NEW can be standard input".to_owned()).into());
    }
    let (old, new) = (side(&args.old, args, io)?, side(&args.new, args, io)?);
    let catalogue = specs::catalogue_at(args.slo_period_windows_path.as_deref(), io)?;
    let mut fates = Vec::new();
    for (id, slo) in &old {
        match new.get(id) {
            None => fates.push(Fate::Removed(slo)),
            Some(now) => {
                let (before, after) = (specs::windows(&catalogue, slo)?, specs::windows(&catalogue, now)?);
                let changes = diff((slo, &before), (now, &after));
                if !changes.is_empty() {
                    fates.push(Fate::Changed(now, changes));
                }
            }
        }
    }
    fates.extend(new.iter().filter(|(id, _)| !old.contains_key(*id)).map(|(_, slo)| Fate::Added(slo)));
    fates.sort_by(|a, b| slo_of(a).id.cmp(&slo_of(b).id));
    match args.output {
        OutputArg::Text => text(&fates, old.len(), new.len(), io)?,
        OutputArg::Json => {
            writeln!(io.stdout, "{:#}", json!({ "changes": fates.iter().map(object).collect::<Vec<_>>() }))?
        }
    }
    let differs = args.exit_code && !fates.is_empty();
    Ok(if differs { ExitCode::from(EXIT_FINDINGS) } else { ExitCode::SUCCESS })
}

fn side(path: &Path, args: &Args, io: &mut Io<'_>) -> anyhow::Result<BTreeMap<String, Slo>> {
    let options = LoadOptions { default_period: args.default_slo_period, ..LoadOptions::default() };
    let read = specs::read_path(path, &options, io)?;
    let color = io.color_err;
    for diagnostic in read.loaded.diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error) {
        diagnostic::write(io.stderr, diagnostic, Format::Text { color })?;
    }
    if read.loaded.has_errors() {
        bail!("{}: cannot be compared", path.display());
    }
    Ok(read.loaded.slos.into_iter().map(|located| (located.slo.id.clone(), located.slo)).collect())
}

const fn slo_of<'a>(fate: &Fate<'a>) -> &'a Slo {
    match fate {
        Fate::Added(slo) | Fate::Removed(slo) | Fate::Changed(slo, _) => slo,
    }
}

fn text(fates: &[Fate<'_>], old: usize, new: usize, io: &mut Io<'_>) -> anyhow::Result<()> {
    let (mut added, mut removed, mut changed) = (0, 0, 0);
    for fate in fates {
        match fate {
            Fate::Added(slo) => {
                added += 1;
                let alerts = match (&slo.page, &slo.ticket) {
                    (Some(_), Some(_)) => "pages and opens tickets",
                    (Some(_), None) => "pages",
                    (None, Some(_)) => "opens tickets",
                    (None, None) => "alerts nobody",
                };
                let objective = number::plain(slo.objective);
                writeln!(io.stdout, "+ {}: new, {objective} % over {}, {alerts}\n", slo.id, slo.period)?;
            }
            Fate::Removed(slo) => {
                removed += 1;
                writeln!(io.stdout, "- {}: removed, nothing watches it any more\n", slo.id)?;
            }
            Fate::Changed(slo, changes) => {
                changed += 1;
                writeln!(io.stdout, "~ {}", slo.id)?;
                for change in changes {
                    writeln!(io.stdout, "    {}", sentence(change))?;
                    if let Some(effect) = &change.effect {
                        writeln!(io.stdout, "      so {effect}")?;
                    }
                }
                writeln!(io.stdout)?;
            }
        }
    }
    let same = old - removed - changed;
    if !io.quiet {
        writeln!(
            io.stdout,
            "SLOs: {old} before, {new} after; {added} added, {removed} removed, {changed} changed, {same} alike"
        )?;
    }
    Ok(())
}

fn sentence(change: &Change) -> String {
    let what = change.what.replace(['-', '_'], " ");
    let what = change.key.as_ref().map_or_else(|| what.clone(), |key| format!("{what} `{key}`"));
    let show = |value: &str| {
        let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() { "nothing".to_owned() } else { line }
    };
    match (&change.old, &change.new) {
        (Some(old), Some(new)) if old.len() + new.len() > 80 => {
            format!("{what} changes\n        from {}\n        to   {}", show(old), show(new))
        }
        (Some(old), Some(new)) => format!("{what} changes from {} to {}", show(old), show(new)),
        (None, Some(new)) => format!("{what} is new: {}", show(new)),
        (Some(old), None) => format!("{what} is gone: {}", show(old)),
        (None, None) => what,
    }
}

fn object(fate: &Fate<'_>) -> Value {
    let slo = slo_of(fate);
    let (kind, changes) = match fate {
        Fate::Added(_) => ("added", &[][..]),
        Fate::Removed(_) => ("removed", &[][..]),
        Fate::Changed(_, changes) => ("changed", changes.as_slice()),
    };
    let changes = changes.iter().map(|change| {
        json!({ "what": change.what, "key": change.key, "old": change.old, "new": change.new, "effect": change.effect })
    });
    json!({ "slo": slo.id, "service": slo.service, "name": slo.name, "kind": kind, "changes": changes.collect::<Vec<_>>() })
}
