//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use daemon_kit::args::LogArgs;

use crate::commands;

/// Finds clients that take more than their share of Kafka, throttles them safely, and lets them go.
#[derive(Debug, Parser)]
#[command(
    name = "quota-enforcer",
    version,
    propagate_version = true,
    mut_arg("log_level", |arg| arg
        .help("What is logged: a level, or `target=level` pairs; without it info for `run` and warn for the others")
        .hide_default_value(true)),
    after_help = "Exit code: 0, 1 when something failed or was found wrong, 2 when the command line is wrong, 130 when a second \
        signal ended `run` at once.\n\n\
        Examples:\n  \
        quota-enforcer check -c quota-enforcer.yaml\n  \
        quota-enforcer plan\n  \
        quota-enforcer run\n  \
        quota-enforcer exempt user=alice --for 2h --reason 'backfill until noon'"
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch, decide and, as leader, enforce, until it is stopped.
    Run(commands::run::Args),
    /// Report everything that is wrong with the configuration; asks no server.
    Check(commands::check::Args),
    /// Show which quotas would change now, and why.
    Plan(commands::plan::Args),
    /// Show who leads, what is held and who is not calm.
    Status(commands::status::Args),
    /// Show everything that is known of one user or client id.
    Explain(commands::explain::Args),
    /// Show what was done, from the audit chain.
    History(commands::history::Args),
    /// Give a client back the quota that it had, or all of them.
    Release(commands::release::Args),
    /// Let no rule touch a client for a while, and give back what is held of it.
    Exempt(commands::exempt::Args),
    /// End an exemption.
    Unexempt(commands::unexempt::Args),
    /// Tighten nothing until `resume`, across restarts; what is held ends in time.
    Pause(commands::pause::Args),
    /// Go on after `pause`.
    Resume(commands::resume::Args),
    /// Prove or print the audit chain.
    Audit(commands::audit::Args),
    /// Release what has expired; for a job that runs when no daemon does. Needs only Kafka.
    Reap(commands::reap::Args),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Print the version.
    Version(commands::version::Args),
    /// Print the completion script of a shell.
    Completions(commands::completions::Args),
    /// Print the manual page.
    Man(commands::man::Args),
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub struct GlobalArgs {
    /// How much is logged.
    #[command(flatten)]
    pub log: LogArgs,
    /// No colours; they are used only on a terminal and without NO_COLOR anyway
    #[arg(long, global = true, help_heading = "Log options")]
    pub no_color: bool,
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// Configuration file; without it ./quota-enforcer.yaml, and where there is none
    /// /etc/quota-enforcer/quota-enforcer.yaml
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "QUOTA_ENFORCER_CONFIG",
        default_value_os_t = there(CONFIGS),
        hide_default_value = true
    )]
    pub config: PathBuf,
}

/// Where it is without being told.
const CONFIGS: [&str; 2] = ["quota-enforcer.yaml", "/etc/quota-enforcer/quota-enforcer.yaml"];

/// The first of them that is there, and else the first.
fn there(paths: [&str; 2]) -> PathBuf {
    let [first, second] = paths.map(Path::new);
    let absent = |path: &Path| matches!(path.try_exists(), Ok(false));
    if absent(first) && !absent(second) { second.into() } else { first.into() }
}

/// Who is asked.
#[derive(Clone, Debug, Args)]
pub struct ReachArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Base address of a running daemon's API; without it the one that the configuration names is asked if it answers, and
    /// Kafka and Prometheus themselves if not
    #[arg(long, value_name = "URL", env = "QUOTA_ENFORCER_API")]
    pub api: Option<String>,
    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputArg::Text)]
    pub output: OutputArg,
}

/// Who orders, and why.
#[derive(Clone, Debug, Args)]
pub struct OrderArgs {
    /// Who is asked.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// File with the bearer token of the daemon's API; without it the one that the configuration names
    #[arg(long, value_name = "FILE", env = "QUOTA_ENFORCER_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Who asks, for the record; without it whom $USER or $LOGNAME names
    #[arg(
        long,
        value_name = "NAME",
        env = user_variable(),
        hide_env = true,
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    pub by: String,
}

/// The variable of the environment that names the user: jobs often have only the second.
fn user_variable() -> &'static str {
    let set = std::env::var_os("USER").is_some_and(|name| !name.is_empty());
    if set { "USER" } else { "LOGNAME" }
}

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputArg {
    /// People.
    Text,
    /// Scripts: one JSON value.
    Json,
}

impl Cli {
    /// Parses arguments and the environment. Only the daemon tells by itself what it does.
    ///
    /// # Errors
    /// What is wrong with the command line, or the help or version that it asks for.
    pub fn from_args<I, T>(args: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(args)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        let asked = matches.value_source("log_level") != Some(ValueSource::DefaultValue);
        if !asked && !matches!(cli.command, Command::Run(_)) {
            "warn".clone_into(&mut cli.global.log.log_level);
        }
        Ok(cli)
    }
}

/// A duration such as `2h`, `90m` or `7d`, above zero; a day has 24 hours.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let fail = || "write it as `2h`, `90m` or `7d`, above zero".to_owned();
    let span: jiff::Span = text.parse().map_err(|_| fail())?;
    let duration =
        span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero()).ok_or_else(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn only_the_daemon_is_talkative() {
        let level = |args: &[&str]| {
            Cli::from_args([&["quota-enforcer"], args].concat()).unwrap().global.log.log_level
        };
        assert_eq!(level(&["run"]), "info");
        assert_eq!(level(&["schema"]), "warn");
        assert_eq!(level(&["schema", "--log-level", "info"]), "info");
    }

    #[test]
    fn the_first_configuration_that_is_there_is_the_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (own, system) = (path("own"), path("system"));
        let found = || there([&own, &system]).display().to_string();
        assert_eq!(found(), own);
        std::fs::File::create(&system).unwrap();
        assert_eq!(found(), system);
        std::fs::File::create(&own).unwrap();
        assert_eq!(found(), own);
    }

    #[test]
    fn durations_are_people_s() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(
            [seconds("2h"), seconds("1h30m"), seconds("7d"), seconds("1w")],
            [Ok(7200), Ok(5400), Ok(604_800), Ok(604_800)]
        );
        for text in ["", "2", "0s", "-2h", "tomorrow"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
