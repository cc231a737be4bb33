//! `testbed demo-quota`: a tenant runs away on a real Kafka cluster, in front of your eyes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::{Narrator, Report, Stage, tell};
use crate::demo::screen::Screen;
use crate::kafka::{self, Cluster};
use crate::{Notification, files};

/// Flags of `testbed demo-quota`. Paths are those of the repository.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The enforcer
    #[arg(long, default_value = "target/release/quota-enforcer")]
    pub quota_enforcer: PathBuf,
    /// Makes the rules of the tenants' promise
    #[arg(long, default_value = "target/release/slo-engine")]
    pub slo_engine: PathBuf,
    /// The tenants' promise
    #[arg(long, default_value = "examples/quota/produce-latency.yaml")]
    pub spec: PathBuf,
    /// Directory of AlertWindows files
    #[arg(long, default_value = "examples/shop/windows")]
    pub windows: PathBuf,
    /// The enforcer's alert rules
    #[arg(long, default_value = "rules/quota-enforcer.yml")]
    pub rules: PathBuf,
    /// Alertmanager's configuration
    #[arg(long, default_value = "examples/quota/alertmanager.yml")]
    pub alertmanager_config: PathBuf,
    /// Write what the commands print into files of this directory
    #[arg(long)]
    pub record: Option<PathBuf>,
    /// Stop by itself at the end of the story
    #[arg(long)]
    pub once: bool,
}

/// Tells the story; Ctrl-C ends it at any moment and stops every server that was started.
///
/// # Errors
/// When a server does not start, or the story does not go as it should.
pub async fn run(args: &Args) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let screen = Screen::new();
    tokio::select! {
        outcome = show(args, &screen) => outcome,
        _ = interrupt.recv() => { screen.stopped(); Ok(()) }
        _ = terminate.recv() => { screen.stopped(); Ok(()) }
    }
}

async fn show(args: &Args, screen: &Screen) -> Result<()> {
    screen.title(
        "From a runaway client to its release",
        "everything listens on 127.0.0.1 only and stops with Ctrl-C",
    );
    let folder = tempfile::Builder::new().prefix("backstop-demo-").tempdir().context("make a folder")?;
    let promise = folder.path().join("promise.yml");
    super::promise(&args.slo_engine, &args.spec, &args.windows, &promise)?;
    screen.say("starting three Kafka brokers with users, permissions and JMX exporters");
    let cluster = Cluster::start(&kafka::Options::default()).await?;
    let alertmanager = std::fs::read_to_string(&args.alertmanager_config)
        .with_context(|| format!("read {}", args.alertmanager_config.display()))?;
    let options = super::stage(&args.quota_enforcer, vec![promise, args.rules.clone()], alertmanager);
    let stage = Stage::start(&cluster, &options).await?;
    screen.step("Kafka", &cluster.bootstrap(kafka::Listener::SaslPlaintext), "three brokers");
    screen.step("Prometheus", &stage.prometheus.url(), "scrapes brokers, clients and the enforcer");
    screen.step("Alertmanager", &stage.alertmanager.url(), "");
    screen.step("pager", &stage.receiver.url(""), "a webhook that shows what it got");

    let mut narrator = OnScreen { screen, start: Instant::now() };
    let (stage, report) = tell(&cluster, stage, &mut narrator).await?;
    summary(screen, &report);
    if let Some(folder) = &args.record {
        record(folder, &report.outputs)?;
    }
    if args.once {
        screen.say("stopping the servers");
        return Ok(());
    }
    screen.say(&format!(
        "everything goes on running; the enforcer's files are in {}",
        stage.folder().display()
    ));
    // Until Ctrl-C ends the select in `run`.
    std::future::pending().await
}

fn summary(screen: &Screen, report: &Report) {
    let ms = |time: Option<Duration>| time.map_or("?".to_owned(), |time| format!("{} ms", time.as_millis()));
    let [before, during, held] = report.latency;
    let steps: Vec<String> = report.bounds.iter().map(|bound| format!("{:.2}", bound / 1e6)).collect();
    screen.good(&format!(
        "throttled {:.1} s after its first byte, under the limit after {:.0} s, in steps of {} MB/s per broker",
        report.throttled.as_secs_f64(),
        report.tamed.as_secs_f64(),
        steps.join(", ")
    ));
    screen.good(&format!(
        "99th percentile of the others' latency: {} before, {} in the flood, {} while it was held",
        ms(before),
        ms(during),
        ms(held)
    ));
    screen.good(&format!(
        "no connection of the runaway paused longer than {:.1} s; all {} acknowledged records are there, none expired; a full buffer made it wait {} times",
        report.longest_pause.as_secs_f64(),
        report.acknowledged,
        report.blocked
    ));
}

fn record(folder: &Path, outputs: &BTreeMap<&'static str, String>) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    for (name, text) in outputs {
        files::write(&folder.join(format!("{name}.txt")), text)?;
    }
    Ok(())
}

struct OnScreen<'a> {
    screen: &'a Screen,
    start: Instant,
}

impl Narrator for OnScreen<'_> {
    fn chapter(&mut self, text: &str) {
        self.screen.chapter(self.start.elapsed().as_secs(), text);
    }

    fn line(&mut self, text: &str) {
        self.screen.say(text);
    }

    fn output(&mut self, command: &str, text: &str) {
        self.screen.command(command);
        for line in text.lines() {
            self.screen.say(line);
        }
    }

    fn notification(&mut self, title: &str, notification: &Notification) {
        self.screen.notification(title, notification);
    }
}
