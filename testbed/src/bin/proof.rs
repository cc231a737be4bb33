//! Writes the tables of `docs/accuracy.md`, `docs/equivalence.md` and `docs/rule-cost.md` from runs of the real programs.

use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};
use testbed::programs;
use testbed::proof::report::{replace, table, verdict};
use testbed::proof::{accuracy, equivalence, incident};

/// Measures the generated rules on the real programs.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Document whose table is replaced; without it the table is only printed.
    #[arg(long, global = true)]
    document: Option<PathBuf>,
    /// A shorter run.
    #[arg(long, global = true)]
    quick: bool,
    /// A promtool of Prometheus 3, measured too.
    #[arg(long, global = true, env = "PROMTOOL3")]
    promtool3: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum What {
    /// Every window beside the true ratio.
    Accuracy,
    /// Detection and reset of both profiles.
    Equivalence,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (name, body) = match arguments.what {
        What::Accuracy => ("accuracy", accuracy_table(&arguments)?),
        What::Equivalence => ("equivalence", equivalence_table(&arguments)?),
    };
    println!("{body}");
    match &arguments.document {
        Some(document) => replace(document, name, &body),
        None => Ok(()),
    }
}

/// Runs jobs on two threads, results in order.
fn parallel<T: Sync, R: Send>(jobs: &[T], run: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let next = Mutex::new(0..jobs.len());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(index) = next.lock().ok().and_then(|mut next| next.next()) else { break };
                    let Some(job) = jobs.get(index) else { break };
                    let result = run(job);
                    if let Ok(mut results) = results.lock() {
                        results.push((index, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().map_err(|_| anyhow!("a run panicked"))?;
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn accuracy_table(arguments: &Arguments) -> Result<String> {
    let promtool = programs::promtool()?;
    let scenarios = accuracy::scenarios(&promtool, arguments.promtool3.as_deref(), arguments.quick);
    let results = parallel(&scenarios, accuracy::measure)?;
    let mut text = String::new();
    for (scenario, rows) in scenarios.iter().zip(results) {
        let version = programs::version(&scenario.promtool)?;
        let version = version.split(" (").next().unwrap_or_default().trim_end_matches(',');
        let goal = accuracy::goal(scenario);
        let percent = |value: f64| format!("{:.3} %", value * 100.0);
        let pair = |one: &accuracy::Deviation| {
            let absent = if one.absent == 0 { String::new() } else { format!(" ({} withheld)", one.absent) };
            format!("{} / {}{absent}", percent(one.mean()), percent(one.worst))
        };
        let lines: Vec<_> = rows
            .iter()
            .map(|row| {
                let met = row.lean.seen > 0 && row.lean.mean() <= goal;
                vec![row.window.to_string(), pair(&row.lean), pair(&row.direct), pair(&row.sloth), verdict(met).to_owned()]
            })
            .collect();
        text.push_str(&format!(
            "**{}** ({version}, {} h of traffic; goal: mean of lean at most {})\n\n",
            scenario.name,
            scenario.seconds / 3600,
            percent(goal)
        ));
        text.push_str(&table(&["window", "lean: mean / worst", "direct query", "profile sloth", "goal"], &lines));
        text.push('\n');
    }
    Ok(text)
}

fn equivalence_table(arguments: &Arguments) -> Result<String> {
    let promtool = programs::promtool()?;
    let mut jobs = Vec::new();
    let depth = if arguments.quick { equivalence::Depth::Page } else { equivalence::Depth::Full };
    jobs.extend(incident::shapes().into_iter().map(|incident| (incident, depth)));
    jobs.extend((0..10).map(|phase| (incident::burst(phase), equivalence::Depth::Page)));
    let seeds = if arguments.quick { 6 } else { 48 };
    jobs.extend((0..seeds).map(|seed| (incident::random(seed), equivalence::Depth::Page)));
    let outcomes = parallel(&jobs, |(incident, depth)| equivalence::run(&promtool, incident, *depth))?;
    let seconds = |value: f64| format!("{}:{:02}:{:02}", (value / 3600.0).floor(), (value / 60.0).floor() % 60.0, value % 60.0);
    let mut rows = Vec::new();
    for outcome in &outcomes {
        for (severity, both) in [("page", outcome.page), ("ticket", outcome.ticket)] {
            let [sloth, lean] = both;
            if severity == "ticket" && sloth.is_none() && lean.is_none() {
                continue;
            }
            let time = |firing: Option<equivalence::Firing>, of: fn(equivalence::Firing) -> f64| {
                firing.map_or_else(|| "-".to_owned(), |firing| seconds(of(firing)))
            };
            let difference = |of: fn(equivalence::Firing) -> f64| match (sloth, lean) {
                (Some(sloth), Some(lean)) => format!("{:+} s", of(lean) - of(sloth)),
                (None, None) => "-".to_owned(),
                (None, Some(_)) => "lean only".to_owned(),
                (Some(_), None) => "sloth only".to_owned(),
            };
            let law = if severity == "page" { verdict(outcome.violations == 0.0).to_owned() } else { String::new() };
            rows.push(vec![
                outcome.name.clone(),
                severity.to_owned(),
                time(sloth, |firing| firing.from),
                time(lean, |firing| firing.from),
                difference(|firing| firing.from),
                time(sloth, |firing| firing.to),
                time(lean, |firing| firing.to),
                difference(|firing| firing.to),
                law,
            ]);
        }
    }
    let head = ["incident", "alert", "sloth detects", "lean", "difference", "sloth resets", "lean", "difference", "law"];
    let broken = outcomes.iter().filter(|outcome| outcome.violations > 0.0).count();
    Ok(format!("{}\n{} incidents, law broken in {broken}: {}\n", table(&head, &rows), outcomes.len(), verdict(broken == 0)))
}
