//! `testbed demo` and `testbed demo-quota`: the stories of the project, in front of your eyes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use testbed::demo;

/// Starts the real servers and the load.
#[derive(Debug, Parser)]
#[command(name = "testbed", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Break a service of a simulated shop and watch the page arrive, and leave again.
    Demo(demo::Args),
    /// Let a tenant of a Kafka cluster run away and watch it being throttled and released.
    #[cfg(feature = "kafka")]
    DemoQuota(testbed::quota::demo::Args),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args).await,
        #[cfg(feature = "kafka")]
        Command::DemoQuota(args) => testbed::quota::demo::run(&args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
