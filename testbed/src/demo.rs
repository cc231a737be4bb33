//! The demo: generate rules, start everything, break the checkout, watch.

mod generate;
pub(crate) mod screen;
mod story;

use std::path::PathBuf;
use std::time::Duration;

use crate::bed::Options;
use crate::{Bed, programs};
use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use screen::Screen;

/// Scrape and evaluation interval: a fifth of the shortest window.
const INTERVAL: Duration = Duration::from_secs(2);

/// Flags of `testbed demo`. Paths are those of the repository.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The binary to show
    #[arg(long, default_value = "target/release/slo-engine")]
    pub slo_engine: PathBuf,
    /// SLO specs of the shop
    #[arg(long, default_value = "examples/shop/slos")]
    pub specs: PathBuf,
    /// Directory of AlertWindows files
    #[arg(long, default_value = "examples/shop/windows")]
    pub windows: PathBuf,
    /// Alertmanager's configuration
    #[arg(long, default_value = "examples/alertmanager.yml")]
    pub alertmanager_config: PathBuf,
    /// Which rules are shown
    #[arg(long, default_value = "lean", value_parser = ["lean", "sloth"])]
    pub profile: String,
    /// Stop by itself at the end of the story
    #[arg(long)]
    pub once: bool,
}

/// Tells the story; Ctrl-C ends it at any moment and stops every server that was started.
///
/// # Errors
/// When a server does not start, the page or its end does not arrive, or somebody else is paged.
pub async fn run(args: &Args) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let screen = Screen::new();
    tokio::select! {
        outcome = tell(args, &screen) => outcome,
        _ = interrupt.recv() => { screen.stopped(); Ok(()) }
        _ = terminate.recv() => { screen.stopped(); Ok(()) }
    }
}

async fn tell(args: &Args, screen: &Screen) -> Result<()> {
    screen.title("From an SLO spec to a page", "everything listens on 127.0.0.1 only and stops with Ctrl-C");
    let folder = tempfile::Builder::new().prefix("backstop-demo-").tempdir().context("make a folder")?;
    let rules = generate::run(args, folder.path(), screen)?;

    let config = std::fs::read_to_string(&args.alertmanager_config)
        .with_context(|| format!("read {}", args.alertmanager_config.display()))?;
    let options = Options { rules: vec![rules], alertmanager: config, interval: INTERVAL, seed: 1 };
    let bed = Bed::start(&options).await?;
    let version = |program: Result<PathBuf>| program.and_then(|program| programs::version(&program));
    let short = |line: String| line.split(" (").next().unwrap_or_default().replace(", version", "");
    screen.step(
        "shop",
        &format!("http://{}/control", bed.shop.address()),
        "catalogue, checkout, payments, search",
    );
    screen.step("Prometheus", &bed.prometheus.url(), &short(version(programs::prometheus())?));
    screen.step("Alertmanager", &bed.alertmanager.url(), &short(version(programs::alertmanager())?));
    screen.step("pager", &bed.receiver.url(""), "a webhook that shows what it got");

    story::tell(&bed, screen).await?;

    if args.once {
        screen.say("stopping the servers");
        return Ok(());
    }
    screen.invite(&bed);
    // Until Ctrl-C ends the select in `run`.
    std::future::pending().await
}
