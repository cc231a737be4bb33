//! Flags of `generate`.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use daemon_kit::cli::UsageError;
use daemon_kit::diagnostic;
use slo_engine_core::PromDuration;

use crate::app::Io;
use crate::cli::{InputArgs, ProfileArg};
use crate::commands::validate::{OutputArg, PromqlArg};
use crate::output::Format;

/// Flags of `generate`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where specs come from.
    #[command(flatten)]
    pub input: InputArgs,
    /// Which rules, and where they go.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What the rules are like.
    #[command(flatten)]
    pub rules: RuleArgs,
}

/// Which rules, and where they go.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output options")]
pub struct OutputArgs {
    /// File, directory (a tree that mirrors the input directory), or `-` for standard output
    #[arg(short = 'o', long, value_name = "PATH", default_value = "-", env = "SLOTH_OUT", hide_env = true)]
    pub out: PathBuf,
    /// What reads the rules [default: prometheus-operator for Kubernetes specs, prometheus for all others]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Kubernetes namespace of objects that name none, or ruler namespace (default: path of the spec)
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Split files (objects, with --format prometheus-operator) larger than this; 1MiB suits a ConfigMap
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub max_bytes: Option<usize>,
    /// Remove the files in the output directory that this program wrote and whose spec is gone
    #[arg(long)]
    pub prune: bool,
    /// Write the rules of all sound SLOs even if others have errors (the exit code still says so)
    #[arg(long)]
    pub keep_going: bool,
    /// How findings are printed to standard error
    #[arg(long = "output", value_enum, value_name = "FORMAT", default_value_t = OutputArg::Text)]
    pub messages: OutputArg,
}

/// What the rules are like.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Rule options")]
pub struct RuleArgs {
    /// Which rules
    #[arg(long, value_enum, default_value_t = ProfileArg::Lean)]
    pub profile: ProfileArg,
    /// Write no recording rules
    #[arg(long, env = "SLOTH_DISABLE_RECORDINGS", hide_env = true, value_parser = BoolishValueParser::new())]
    pub disable_recordings: bool,
    #[arg(long, hide = true)]
    no_disable_recordings: bool,
    /// Write no alert rules
    #[arg(long, env = "SLOTH_DISABLE_ALERTS", hide_env = true, value_parser = BoolishValueParser::new())]
    pub disable_alerts: bool,
    #[arg(long, hide = true)]
    no_disable_alerts: bool,
    /// Evaluation interval of the groups [default: lean chooses 30s, sloth leaves it to Prometheus]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub interval: Option<PromDuration>,
    /// Scrape interval behind SLOs that state none (profile lean)
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub scrape_interval: PromDuration,
    /// Link for alert annotations; {service}, {slo} and {id} are filled in (profile lean)
    #[arg(long, value_name = "URL")]
    pub dashboard_url: Option<String>,
    /// Unknown and repeated keys are errors
    #[arg(long)]
    pub strict: bool,
    /// What a query means that is no PromQL of a Prometheus without feature flags
    #[arg(long, value_enum, value_name = "HOW", default_value_t = PromqlArg::Strict)]
    pub promql: PromqlArg,
}

impl Args {
    /// Refuses flags that make no sense.
    ///
    /// # Errors
    /// Says which and why.
    pub(super) fn check(&self) -> Result<(), UsageError> {
        self.input.check()?;
        if self.output.max_bytes == Some(0) {
            return Err(UsageError("--max-bytes 0: nothing fits into no bytes".to_owned()));
        }
        let zero = |duration: PromDuration| duration.is_zero();
        if self.rules.interval.is_some_and(zero) || zero(self.rules.scrape_interval) {
            return Err(UsageError("--interval and --scrape-interval must be longer than zero".to_owned()));
        }
        Ok(())
    }

    /// How findings go to standard error.
    pub(super) const fn messages(&self, io: &Io<'_>) -> diagnostic::Format {
        match self.output.messages {
            OutputArg::Text => diagnostic::Format::Text { color: io.color_err },
            OutputArg::Json => diagnostic::Format::Json,
            OutputArg::Github => diagnostic::Format::Github,
        }
    }
}

impl RuleArgs {
    /// `--disable-recordings`, unless `--no-disable-recordings` overrides the environment.
    pub(super) const fn without_recordings(&self) -> bool {
        self.disable_recordings && !self.no_disable_recordings
    }

    /// `--disable-alerts`, unless `--no-disable-alerts` overrides the environment.
    pub(super) const fn without_alerts(&self) -> bool {
        self.disable_alerts && !self.no_disable_alerts
    }
}

fn parse_duration(text: &str) -> Result<PromDuration, String> {
    PromDuration::parse(text).map_err(|error| error.to_string())
}

/// `900000`, `900k`, `1MiB`, `1M`: k, M and G are powers of 1024, with or without `iB`, as for Kubernetes' `Mi`.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: usize = match unit.to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return Err("expected a number of bytes such as 1048576, 900KiB or 1MiB".to_owned()),
    };
    let number: usize = number.parse().map_err(|_| "expected a number of bytes".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in
            [("17", 17), ("1k", 1024), ("1KiB", 1024), ("1MiB", 1 << 20), ("2Mi", 2 << 20), ("3b", 3)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "x", "1x", "-1", "1.5M", "99999999999G"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }
}
