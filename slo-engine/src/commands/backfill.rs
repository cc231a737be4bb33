//! `slo-engine backfill`: the past of an SLO as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.

mod fill;
mod moment;
mod openmetrics;

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use slo_engine_core::backfill::Blueprint;

use crate::app::Io;
use crate::cli::{InputArgs, PrometheusArgs, UsageError};
use fill::Filler;
pub use moment::Moment;
use openmetrics::Spool;

/// Flags of `backfill`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    slo-engine backfill -i slos/ --prometheus http://127.0.0.1:9090 -o past.om\n  \
    promtool tsdb create-blocks-from openmetrics past.om blocks/\n\n\
    docs/backfill.md says how to give the blocks to a running Prometheus without losing anything.")]
pub struct Args {
    /// Where specs come from.
    #[command(flatten)]
    pub input: InputArgs,
    /// The server.
    #[command(flatten)]
    pub prometheus: PrometheusArgs,
    /// File to write, or `-` for standard output
    #[arg(short = 'o', long = "out", visible_alias = "output", value_name = "FILE", default_value = "-")]
    pub out: PathBuf,
    /// Start: a duration before now, a time (RFC 3339), or seconds since 1970 [default: one period before --to]
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    pub from: Option<Moment>,
    /// End
    #[arg(long, value_name = "WHEN", default_value = "now", value_parser = Moment::parse)]
    pub to: Moment,
    /// Write ratios and metadata also where they are recorded already, for example by Sloth's rules
    #[arg(long)]
    pub replace: bool,
    /// Go on although the rules count events already
    #[arg(long)]
    pub force: bool,
}
