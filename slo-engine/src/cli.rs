//! The command line. Flags that Sloth has keep Sloth's names, defaults and `SLOTH_…` environment variables.

mod prometheus;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{BoolishValueParser, Resettable};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use daemon_kit::cli::UsageError;
use slo_engine_core::PromDuration;

use crate::commands;
pub use prometheus::PrometheusArgs;

/// SLO specs in, Prometheus recording and alert rules out.
#[derive(Debug, Parser)]
#[command(
    name = "slo-engine",
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        slo-engine generate -i slos/ -o rules/\n  \
        slo-engine generate --profile sloth -i slo.yaml -o rules.yaml\n  \
        slo-engine validate -i slos/\n  \
        slo-engine explain -i slo.yaml"
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
    /// Write Prometheus rules for SLO specs.
    Generate(Box<commands::generate::Args>),
    /// Report every error of every spec at once.
    Validate(Box<commands::validate::Args>),
    /// Say what changes in alerting between two spec trees.
    Diff(Box<commands::diff::Args>),
    /// Show alert windows, budgets, detection times and rule cost of SLOs.
    Explain(Box<commands::explain::Args>),
    /// Write the past of an SLO from a running Prometheus, for `promtool tsdb create-blocks-from openmetrics`.
    Backfill(Box<commands::backfill::Args>),
    /// Print the JSON Schema of a spec format, for editors.
    Schema(commands::schema::Args),
    /// Print the version.
    Version(commands::version::Args),
    /// Print the completion script of a shell.
    Completions(commands::completions::Args),
    /// Print the manual page.
    Man(commands::man::Args),
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Say more about what is done
    #[arg(long, global = true, env = "SLOTH_DEBUG", hide_env = true, value_parser = BoolishValueParser::new())]
    pub debug: bool,
    /// Say nothing but results and errors
    #[arg(long, global = true, env = "SLOTH_NO_LOG", hide_env = true, value_parser = BoolishValueParser::new())]
    pub no_log: bool,
    /// No colours; they are used only on a terminal and without NO_COLOR anyway
    #[arg(long, global = true, env = "SLOTH_NO_COLOR", hide_env = true, value_parser = BoolishValueParser::new())]
    pub no_color: bool,
    /// How log lines are written
    #[arg(
        long,
        visible_alias = "logger",
        global = true,
        value_enum,
        default_value_t = LogFormat::Text,
        env = "SLOTH_LOGGER",
        hide_env = true
    )]
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[value(alias = "default")]
    Text,
    /// One JSON object per line.
    Json,
}

/// Which rules are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// Event counters: cheap, event-weighted, never NaN.
    #[default]
    Lean,
    /// The rules that Sloth v0.16.0 writes.
    Sloth,
}

/// Where specs come from and what they are read with: the flags that `generate`, `validate` and others share.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Input options")]
pub struct InputArgs {
    /// Spec file, directory (all .yml and .yaml files below it), or `-` for standard input
    #[arg(short = 'i', long, value_name = "PATH", env = "SLOTH_INPUT", hide_env = true)]
    pub input: PathBuf,
    /// Leave out the files whose path matches this regular expression
    #[arg(short = 'e', long, value_name = "REGEX", env = "SLOTH_FS_EXCLUDE", hide_env = true)]
    pub fs_exclude: Option<String>,
    /// Take only the files whose path matches this regular expression; --fs-exclude goes first
    #[arg(short = 'n', long, value_name = "REGEX", env = "SLOTH_FS_INCLUDE", hide_env = true)]
    pub fs_include: Option<String>,
    /// Label for all recording rules (repeatable)
    #[arg(
        short = 'l',
        long,
        value_name = "KEY=VALUE",
        env = "SLOTH_EXTRA_LABELS",
        hide_env = true,
        value_delimiter = '\n',
        value_parser = parse_label
    )]
    pub extra_labels: Vec<(String, String)>,
    /// Directory of AlertWindows files, which replace the built-in 30d and 28d windows
    #[arg(long, value_name = "DIR", env = "SLOTH_SLO_PERIOD_WINDOWS_PATH", hide_env = true)]
    pub slo_period_windows_path: Option<PathBuf>,
    /// Error budget period of SLOs that name none
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "30d",
        env = "SLOTH_DEFAULT_SLO_PERIOD",
        hide_env = true,
        value_parser = parse_period
    )]
    pub default_slo_period: PromDuration,
    /// Flags of Sloth that name plugins.
    #[command(flatten)]
    pub plugins: PluginArgs,
}

impl Cli {
    /// Parses arguments and the environment, in which an empty variable counts as none, as in Sloth.
    ///
    /// # Errors
    /// What is wrong with the command line, or the help or version that it asks for.
    pub fn from_args<I, T>(args: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let mut command = without_empty_variables(Self::command());
        let matches = command.try_get_matches_from_mut(args)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        if empty { arg.env(Resettable::Reset) } else { arg }
    });
    command.mut_subcommands(without_empty_variables)
}

impl InputArgs {
    /// `--extra-labels` as a map; of a repeated key the last value stays.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.extra_labels.iter().filter(|(key, _)| !key.is_empty()).cloned().collect()
    }

    /// Refuses the flags that cannot work here.
    ///
    /// # Errors
    /// [`UsageError`] that says why and what to do instead.
    pub fn check(&self) -> Result<(), UsageError> {
        self.plugins.check()
    }
}

/// Sloth's plugin flags: known, so that the answer can say why they are refused.
#[derive(Clone, Debug, Default, Args)]
pub struct PluginArgs {
    #[arg(
        short = 'p',
        long,
        alias = "sli-plugins-path",
        hide = true,
        env = "SLOTH_PLUGINS_PATH",
        value_delimiter = '\n'
    )]
    plugins_path: Vec<String>,
    #[arg(short = 's', long, hide = true, env = "SLOTH_SLO_PLUGINS", value_delimiter = '\n')]
    slo_plugins: Vec<String>,
    #[arg(long, hide = true, env = "SLOTH_DISABLE_DEFAULT_SLO_PLUGINS", value_parser = BoolishValueParser::new())]
    disable_default_slo_plugins: bool,
    #[arg(long, hide = true, env = "SLOTH_K8S_TRANSFORM_PLUGIN_ID")]
    k8s_transform_plugin_id: Option<String>,
}

/// Sloth's default of `--k8s-transform-plugin-id`: what is done here anyway.
const PROMETHEUS_RULE_TRANSFORM: &str = "sloth.dev/k8stransform/prom-operator-prometheus-rule/v1";

impl PluginArgs {
    fn check(&self) -> Result<(), UsageError> {
        let refuse = |flag: &str, instead: &str| {
            Err(UsageError(format!(
                "{flag} is not supported: Sloth's plugins are Go source that Sloth interprets, and no Go is run here; {instead}"
            )))
        };
        if self.plugins_path.iter().any(|path| !path.is_empty()) {
            return refuse(
                "--plugins-path",
                "write the query that the plugin returns as `sli.raw.error_ratio_query` or, better, as `sli.events`",
            );
        }
        if self.slo_plugins.iter().any(|plugin| !plugin.is_empty()) {
            return refuse(
                "--slo-plugins",
                "see the own keys and flags of `generate` for what they are used for",
            );
        }
        if self.disable_default_slo_plugins {
            return refuse("--disable-default-slo-plugins", "use --disable-recordings or --disable-alerts");
        }
        match self.k8s_transform_plugin_id.as_deref() {
            None | Some("" | PROMETHEUS_RULE_TRANSFORM) => Ok(()),
            Some(_) => refuse(
                "--k8s-transform-plugin-id",
                "PrometheusRule objects are written as Sloth's default does",
            ),
        }
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    // A list in an environment variable may end in a newline.
    if text.is_empty() {
        return Ok(Default::default());
    }
    // Sloth takes `KEY:VALUE` too and splits at whichever comes first.
    match text.split_once([':', '=']) {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

pub(crate) fn parse_interval(text: &str) -> Result<PromDuration, String> {
    let interval = PromDuration::parse(text).map_err(|error| error.to_string())?;
    if interval.is_zero() { Err("must be longer than zero".to_owned()) } else { Ok(interval) }
}

pub(crate) fn parse_period(text: &str) -> Result<PromDuration, String> {
    let period = PromDuration::parse(text).map_err(|error| error.to_string())?;
    if period.is_zero() { Err("a period of zero has no budget".to_owned()) } else { Ok(period) }
}
