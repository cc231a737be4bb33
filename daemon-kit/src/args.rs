//! Flags that every daemon has.

#[cfg(feature = "runtime")]
mod runtime;

use clap::{Args, ValueEnum};

#[cfg(feature = "runtime")]
pub use runtime::{AdminArgs, RuntimeArgs};

/// How much is logged, and how.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log options")]
pub struct LogArgs {
    /// What is logged: a level, or `target=level` pairs
    #[arg(long, global = true, value_name = "FILTER", default_value = "info", env = "LOG_LEVEL")]
    pub log_level: String,
    /// How log lines are written
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        log: LogArgs,
    }

    #[test]
    fn flags_have_defaults() {
        let cli = Cli::parse_from(["x"]);
        assert_eq!((cli.log.log_level.as_str(), cli.log.log_format), ("info", LogFormat::Text));
        let cli = Cli::parse_from(["x", "--log-level", "warn,x=debug", "--log-format", "json"]);
        assert_eq!((cli.log.log_level.as_str(), cli.log.log_format), ("warn,x=debug", LogFormat::Json));
    }
}
