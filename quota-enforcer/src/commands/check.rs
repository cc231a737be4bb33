//! `quota-enforcer check`: everything that is wrong with the configuration, at once.

use std::process::ExitCode;

use clap::ValueEnum;
use daemon_kit::cli::EXIT_FINDINGS;
use daemon_kit::config;
use daemon_kit::diagnostic::{self, Format, Summary};

use crate::app::Io;
use crate::cli::ConfigArgs;
use crate::spec;

/// Flags of `check`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Files and variables of the environment that the configuration names need not be there: each that is missing \
    is a warning.\n\nExit code: 0 without errors, 1 with errors, 2 when the command line is wrong.\n\nExamples:\n  \
    quota-enforcer check -c quota-enforcer.yaml\n  \
    quota-enforcer check --output github"
)]
pub struct Args {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Who reads the findings
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    pub output: Output,
}

/// Who reads the findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
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
/// Writing failed.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let read = config::open(&args.config.config).map_err(|diagnostic| vec![diagnostic]);
    let (settings, diagnostics) =
        match read.and_then(|source| spec::load_here(&source, &|name| std::env::var(name).ok())) {
            Ok((settings, warnings)) => (Some(settings), warnings),
            Err(diagnostics) => (None, diagnostics),
        };
    match args.output {
        Output::Json => super::json(io, &diagnostic::report_to_json(&diagnostics))?,
        output => {
            let format = match output {
                Output::Github => Format::Github,
                _ => Format::Text { color: io.color_out },
            };
            for diagnostic in &diagnostics {
                diagnostic::write(io.stdout, diagnostic, format)?;
            }
            if output == Output::Text {
                let rules = match settings.as_ref().map(|settings| settings.policy.rules.len()) {
                    None => String::new(),
                    Some(1) => "1 rule, ".to_owned(),
                    Some(rules) => format!("{rules} rules, "),
                };
                let (file, summary) = (args.config.config.display(), Summary::of(&diagnostics));
                writeln!(io.stdout, "{file}: {rules}{summary}")?;
            }
        }
    }
    Ok(if settings.is_some() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FINDINGS) })
}
