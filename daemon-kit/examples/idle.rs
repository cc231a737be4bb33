//! A daemon that does nothing, to see what the kit itself costs. Set `OTEL_EXPORTER_OTLP_ENDPOINT` to add traces.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use daemon_kit::args::{LogArgs, RuntimeArgs};
use daemon_kit::runtime::Runtime;
use daemon_kit::{config, reload, telemetry};

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    runtime: RuntimeArgs,
    /// The configuration
    #[arg(long)]
    config: PathBuf,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    interval_seconds: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let telemetry = telemetry::start(telemetry::Options {
        service: "idle",
        version: env!("CARGO_PKG_VERSION"),
        filter: &cli.log.log_level,
        format: cli.log.log_format,
        otlp_endpoint: cli.runtime.otlp_endpoint.as_deref(),
    })?;
    let mut runtime =
        Runtime::builder("idle", env!("CARGO_PKG_VERSION")).admin(cli.runtime.admin.options(9190)).build()?;
    let config = runtime
        .config(reload::Options::new(cli.config), config::load::<Config>)
        .map_err(|diagnostics| reload::Failed::from(diagnostics).to_string())?;
    let work = runtime.stage("work", Duration::from_secs(5));
    work.critical("loop", |cancel| async move {
        loop {
            let pause = Duration::from_secs(config.borrow().value.interval_seconds.max(1));
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => drop(tracing::info_span!("pass").entered()),
            }
        }
    });
    let code = match runtime.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "stopped");
            ExitCode::from(error.exit_code())
        }
    };
    telemetry.shutdown().await;
    Ok(code)
}
