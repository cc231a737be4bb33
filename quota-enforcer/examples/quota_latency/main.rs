//! How fast a runaway client gets its first quota: the real brokers, Prometheus and Kafka's own answers, stage by stage.
//! `bench/quota_latency.sh` runs it.
//!
//! The engine runs here with the daemon's adapters, wired by the daemon's own code, so that each stage of each run can be
//! timed. What it is measured against is watched by others: a poller asks Prometheus every ten milliseconds whether a look
//! that missed no sample would have confirmed the client, and pollers ask each broker whether it has the quota.

mod bed;
mod board;
mod enforcer;
mod report;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use testbed::proof::report::replace;
use tokio::task::JoinSet;

use bed::Bed;
use board::Finished;
use report::Conditions;

/// Measures quota-enforcer's reaction on a real cluster.
#[derive(Debug, Parser)]
struct Arguments {
    /// Document whose tables are replaced; without it they are only printed.
    #[arg(long)]
    document: Option<PathBuf>,
    /// File for every run's times.
    #[arg(long)]
    raw: Option<PathBuf>,
    /// A few runs of each kind.
    #[arg(long)]
    quick: bool,
}

/// One way of running.
#[derive(Clone, Copy, Debug)]
struct Phase {
    scrape: Duration,
    tick: Duration,
    runs: usize,
    /// From one run's start to the next.
    stagger: Duration,
}

/// `full` or, for a quick look, `few` runs.
fn phases(quick: bool) -> [Phase; 3] {
    let runs = |full, few| if quick { few } else { full };
    let (second, quarter) = (Duration::from_secs(1), Duration::from_millis(250));
    let stagger = Duration::from_millis(2_300);
    [
        Phase { scrape: second, tick: quarter, runs: runs(110, 8), stagger },
        Phase { scrape: second, tick: second, runs: runs(40, 4), stagger },
        Phase { scrape: second * 15, tick: second, runs: runs(12, 2), stagger: second },
    ]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let before = report::load()?;
    eprintln!("starting three brokers");
    let bed = Bed::start().await?;
    let office = enforcer::lead(&bed).await?;
    let mut finished = Vec::new();
    for phase in phases(arguments.quick) {
        finished.extend(measure(&bed, &office, phase).await?);
    }
    office.end().await?;
    let conditions = Conditions { before, after: report::load()?, rule: bed::RULE };
    let (goals, body) = (report::goals(&finished), report::body(&finished, &conditions));
    println!("{goals}\n{body}");
    if let Some(path) = &arguments.raw {
        testbed::files::write(path, &report::csv(&finished))?;
    }
    if let Some(path) = &arguments.document {
        replace(path, "quota-latency-goals", &goals)?;
        replace(path, "quota-latency", &body)?;
    }
    Ok(())
}

/// All runs of one way, overlapping.
async fn measure(bed: &Bed, office: &enforcer::Office, phase: Phase) -> Result<Vec<Finished>> {
    eprintln!("{} runs: scrapes every {:?}, ticks every {:?}", phase.runs, phase.scrape, phase.tick);
    let scene = bed.scene(phase.scrape, phase.tick).await?;
    let mut company = JoinSet::new();
    let (enforcer, orders) = office.enforcer(&scene, phase.tick)?;
    company.spawn(enforcer.run());
    company.spawn(office.verify());
    company.spawn(watch::visible(scene.watcher()));
    let work = async {
        // The first tick sets the sentinel, and a new engine trusts nothing that was measured before that showed.
        tokio::time::sleep(scene.warm_up()).await;
        let mut runs = JoinSet::new();
        let mut finished = Vec::new();
        for number in 0..phase.runs {
            let name = format!("runaway-{}-{}-{number:03}", phase.scrape.as_secs(), phase.tick.as_millis());
            runs.spawn(scene.run(name, orders.clone()));
            tokio::time::sleep(phase.stagger).await;
        }
        while let Some(run) = runs.join_next().await {
            let run = run.context("a run ended")??;
            finished.push(Finished { scrape: phase.scrape, tick: phase.tick, run });
        }
        anyhow::Ok(finished)
    };
    let finished = tokio::select! {
        finished = work => finished,
        Some(ended) = company.join_next() => match ended.context("a task died")? {
            Ok(never) => match never {},
            Err(error) => Err(error),
        },
    };
    company.shutdown().await;
    let mut finished = finished?;
    finished.sort_by(|a, b| a.run.client.cmp(&b.run.client));
    Ok(finished)
}
