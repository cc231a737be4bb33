//! `quota-enforcer run`: the daemon.

use std::process::ExitCode;

use daemon_kit::args::RuntimeArgs;

use crate::app::{self, serve};
use crate::cli::{ConfigArgs, GlobalArgs};

/// Flags of `run`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Signals: SIGTERM and SIGINT end it in order, a second one at once, with exit code 130; SIGHUP reads the configuration again, \
    as a change of the file and `POST /-/reload` do.\n\nExamples:\n  \
    quota-enforcer run -c quota-enforcer.yaml"
)]
pub struct Args {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What every daemon has.
    #[command(flatten)]
    pub runtime: RuntimeArgs,
}

/// Runs until it is asked to end.
///
/// # Errors
/// The configuration cannot be used, or the port cannot be had.
pub fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let code = runtime.block_on(serve::serve(args.config.config, args.runtime, global));
    // What blocks without end, in librdkafka, is left to it.
    runtime.shutdown_timeout(app::END);
    code
}
