//! `slo-engine validate`: everything that is wrong with every spec, at once.

pub mod live;

use std::process::ExitCode;

use clap::ValueEnum;
use clap::builder::BoolishValueParser;
use daemon_kit::cli::EXIT_FINDINGS;
use daemon_kit::diagnostic::{self, Diagnostic, Format, Level, Summary};
use daemon_kit::prom::Client;
use rayon::prelude::*;
use serde_json::json;
use slo_engine_core::profile::lean::{self, LeanOptions};
use slo_engine_core::profile::sloth;
use slo_engine_core::{
    Catalogue, CheckOptions, Field, Finding, Profile, PromDuration, PromqlCheck, Severity, check,
};

use crate::app::Io;
use crate::cli::{InputArgs, ProfileArg, PrometheusArgs};
use crate::spec::{LocatedSlo, diagnose};
use crate::specs;

/// Flags of `validate`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 without errors, 1 with errors, 2 when the command line is wrong.\n\nExamples:\n  \
    slo-engine validate -i slos/\n  \
    slo-engine validate --strict --output github -i slos/\n  \
    slo-engine validate --output json -i - < slo.yaml\n  \
    slo-engine validate --prometheus http://127.0.0.1:9090 -i slos/"
)]
pub struct Args {
    /// Which rules the specs are for; they differ a little in what they accept
    #[arg(long, value_enum, default_value_t = ProfileArg::Lean)]
    pub profile: ProfileArg,
    /// Unknown keys, keys written twice and values that are no strings are errors, not warnings
    #[arg(long)]
    pub strict: bool,
    /// What a query means that is no PromQL of a Prometheus without feature flags
    #[arg(long, value_enum, value_name = "HOW", default_value_t = PromqlArg::Strict)]
    pub promql: PromqlArg,
    /// Who reads the findings
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputArg::Text)]
    pub output: OutputArg,
    /// Say nothing when two specs define the same SLO
    #[arg(
        long,
        env = "SLOTH_IGNORE_SLO_DUPLICATES",
        hide_env = true,
        value_parser = BoolishValueParser::new()
    )]
    pub ignore_slo_duplicates: bool,
    /// Scrape interval behind SLOs that state none (with --prometheus)
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::cli::parse_interval)]
    pub scrape_interval: PromDuration,
    /// A live server to ask about the specs: do the series exist, is the scrape interval right, what would the rules cost
    #[command(flatten)]
    pub prometheus: PrometheusArgs,
    /// Where specs come from.
    #[command(flatten)]
    pub input: InputArgs,
}

/// What a query means that does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PromqlArg {
    /// An error.
    Strict,
    /// A warning: the server knows more than this program.
    Warn,
    /// Queries are not parsed.
    Off,
}

impl From<PromqlArg> for PromqlCheck {
    fn from(arg: PromqlArg) -> Self {
        match arg {
            PromqlArg::Strict => Self::Strict,
            PromqlArg::Warn => Self::Warn,
            PromqlArg::Off => Self::Off,
        }
    }
}

/// Who reads the findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputArg {
    /// People.
    Text,
    /// Scripts: one JSON object.
    Json,
    /// GitHub Actions: annotations of the lines of a pull request.
    Github,
}

/// Reports everything that is wrong.
///
/// # Errors
/// What concerns no single spec: flags, nothing to read, alert windows that cannot be used.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let catalogue = specs::catalogue(&args.input, io)?;
    let mut read = specs::read(&args.input, args.profile == ProfileArg::Sloth, io)?;
    let mut diagnostics = std::mem::take(&mut read.loaded.diagnostics);
    if args.ignore_slo_duplicates {
        diagnostics.retain(|diagnostic| diagnostic.code != "duplicate-slo");
    }
    let slos = &read.loaded.slos;
    let found: Vec<Vec<Diagnostic>> =
        slos.par_iter().map(|located| examine(located, args, &catalogue)).collect();
    diagnostics.extend(found.into_iter().flatten());
    let costs = match args.prometheus.client()? {
        Some(client) => {
            let report = ask(&client, args, slos, &catalogue)?;
            diagnostics.extend(report.diagnostics);
            Some(report.costs)
        }
        None => None,
    };
    for diagnostic in &mut diagnostics {
        if args.strict && specs::STRICT.contains(&diagnostic.code) {
            diagnostic.level = Level::Error;
        }
    }
    diagnostic::sort(&mut diagnostics);
    // What the SLOs of a document share is found with each of them.
    diagnostics.dedup_by(|a, b| a.code == b.code && a.message == b.message && same_place(a, b));
    let summary = Summary::of(&diagnostics);
    write(&diagnostics, summary, read.files, slos.len(), costs.as_deref(), args.output, io)?;
    Ok(if summary.errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FINDINGS) })
}

fn same_place(a: &Diagnostic, b: &Diagnostic) -> bool {
    match (&a.place, &b.place) {
        (Some(a), Some(b)) => a.span == b.span && a.source.name() == b.source.name(),
        _ => false,
    }
}

/// Asks a live server about every SLO that has rules.
fn ask(
    client: &Client,
    args: &Args,
    slos: &[LocatedSlo],
    catalogue: &Catalogue,
) -> anyhow::Result<live::Report> {
    let known: Vec<_> = slos
        .iter()
        .filter_map(|located| Some((located.clone(), catalogue.for_period(located.slo.period, true).ok()?)))
        .collect();
    let mut options = live::Options::new(jiff::Timestamp::now().as_millisecond());
    options.scrape_interval = args.scrape_interval;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(live::check(client, &known, &options))
}

fn examine(located: &LocatedSlo, args: &Args, catalogue: &Catalogue) -> Vec<Diagnostic> {
    // Sloth writes no rules for such an SLO, and does not look at it either.
    if located.no_rules {
        return Vec::new();
    }
    let profile = match args.profile {
        ProfileArg::Lean => Profile::Lean,
        ProfileArg::Sloth => Profile::Sloth,
    };
    let slo = &located.slo;
    let mut findings = check(slo, &CheckOptions { profile, promql: args.promql.into(), lints: true });
    match catalogue.for_period(slo.period, true) {
        Err(error) if !slo.period.is_zero() => findings.push(Finding {
            severity: Severity::Error,
            code: "unsupported-period",
            field: Field::Period,
            offset: None,
            message: error.to_string(),
            help: None,
        }),
        Ok(windows) if !findings.iter().any(|finding| finding.severity == Severity::Error) => match profile {
            Profile::Lean => findings.extend(lean::rules(slo, &windows, &LeanOptions::default()).1),
            Profile::Sloth => {
                let options = sloth::Options {
                    version: String::new(),
                    disable_recordings: false,
                    disable_alerts: false,
                };
                if let Err(error) = sloth::rules(slo, &windows, &options) {
                    findings.push(Finding {
                        severity: Severity::Error,
                        code: "rules",
                        field: Field::Slo,
                        offset: None,
                        message: error.to_string(),
                        help: None,
                    });
                }
            }
        },
        _ => {}
    }
    findings.into_iter().map(|finding| diagnose(located, finding)).collect()
}

fn write(
    diagnostics: &[Diagnostic],
    summary: Summary,
    files: usize,
    slos: usize,
    costs: Option<&[live::Cost]>,
    output: OutputArg,
    io: &mut Io<'_>,
) -> anyhow::Result<()> {
    let plural = |count: usize, name: &str| format!("{count} {name}{}", if count == 1 { "" } else { "s" });
    let last = format!("{}, {}: {summary}", plural(files, "file"), plural(slos, "SLO"));
    match output {
        OutputArg::Text => {
            let color = io.color_out;
            for diagnostic in diagnostics {
                diagnostic::write(io.stdout, diagnostic, Format::Text { color })?;
            }
            if !io.quiet {
                live::write_costs(io.stdout, costs.unwrap_or_default())?;
                writeln!(io.stdout, "{last}")?;
            }
        }
        OutputArg::Json => {
            let mut report = diagnostic::report_to_json(diagnostics);
            if let Some(summary) = report.get_mut("summary").and_then(serde_json::Value::as_object_mut) {
                summary.insert("files".to_owned(), json!(files));
                summary.insert("slos".to_owned(), json!(slos));
            }
            if let (Some(costs), Some(report)) = (costs, report.as_object_mut()) {
                report.insert("cost".to_owned(), live::costs_to_json(costs));
            }
            writeln!(io.stdout, "{report:#}")?;
        }
        OutputArg::Github => {
            for diagnostic in diagnostics {
                diagnostic::write(io.stdout, diagnostic, Format::Github)?;
            }
            // Annotations go to stdout; the log has the sum.
            if !io.quiet {
                writeln!(io.stderr, "{last}")?;
            }
        }
    }
    Ok(())
}
