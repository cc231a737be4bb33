//! Writes the tables of `docs/accuracy.md`, `docs/equivalence.md` and `docs/rule-cost.md` from runs of the real programs.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};
use testbed::programs;
use testbed::proof::equivalence::Firing;
use testbed::proof::report::{replace, table, verdict};
use testbed::proof::{accuracy, equivalence, incident, rule_cost, stopped};

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
    /// A Prometheus 3, measured too.
    #[arg(long, global = true, env = "PROMETHEUS3")]
    prometheus3: Option<PathBuf>,
    /// Raw series per SLO, comma-separated (rule cost only).
    #[arg(long, global = true, value_delimiter = ',')]
    series: Vec<usize>,
    /// Seconds of measuring per profile and size (rule cost only).
    #[arg(long, global = true, default_value_t = 150)]
    seconds: u64,
    /// Prints every rule's time to standard error (rule cost only).
    #[arg(long, global = true)]
    each: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum What {
    /// Every window beside the true ratio.
    Accuracy,
    /// Detection and reset of both profiles.
    Equivalence,
    /// Only the part of it in which Prometheus stops or starts.
    Stopped,
    /// Seconds and samples per hour.
    RuleCost,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (name, body) = match arguments.what {
        What::Accuracy => ("accuracy", accuracy_table(&arguments)?),
        What::Equivalence => ("equivalence", equivalence_table(&arguments)?),
        What::Stopped => {
            for told in stories()? {
                println!("{told:?}");
            }
            return Ok(());
        }
        What::RuleCost => ("rule-cost", cost_table(&arguments)?),
    };
    println!("{body}");
    match &arguments.document {
        Some(document) => replace(document, name, &body),
        None => Ok(()),
    }
}

/// Name and version; the file's name when it was built without one.
fn version(program: &Path) -> Result<String> {
    let text = programs::version(program)?;
    let number =
        text.split("version ").nth(1).and_then(|rest| rest.split([' ', '(']).find(|word| !word.is_empty()));
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    Ok(number.filter(|number| number.starts_with(|first: char| first.is_ascii_digit())).map_or_else(
        || name.clone().into_owned(),
        |number| format!("{name} {}", number.trim_end_matches(',')),
    ))
}

/// Runs jobs on some threads, results in order.
fn parallel<T: Sync, R: Send>(
    threads: usize,
    jobs: &[T],
    run: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = Mutex::new(0..jobs.len());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(index) = next.lock().ok().and_then(|mut next| next.next()) {
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
    let results = parallel(2, &scenarios, accuracy::measure)?;
    let mut text = String::new();
    for (scenario, rows) in scenarios.iter().zip(results) {
        let version = version(&scenario.promtool)?;
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
                vec![
                    row.window.to_string(),
                    pair(&row.lean),
                    pair(&row.direct),
                    pair(&row.sloth),
                    verdict(met).to_owned(),
                ]
            })
            .collect();
        text.push_str(&format!(
            "**{}** ({version}, {} simulations of {} h; goal: mean of lean at most {})\n\n",
            scenario.name,
            scenario.seeds.len(),
            scenario.seconds / 3600,
            percent(goal)
        ));
        text.push_str(&table(
            &["window", "lean: mean / worst", "direct query", "profile sloth", "goal"],
            &lines,
        ));
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
    let outcomes = parallel(2, &jobs, |(incident, depth)| equivalence::run(&promtool, incident, *depth))?;
    let mut rows = Vec::new();
    for outcome in &outcomes {
        let law = verdict(outcome.violations == 0.0);
        rows.extend(row(&outcome.name, "page", outcome.page, law));
        rows.extend(row(&outcome.name, "ticket", outcome.ticket, ""));
    }
    let head = [
        "incident",
        "alert",
        "sloth detects",
        "lean",
        "difference",
        "sloth resets",
        "lean",
        "difference",
        "law",
    ];
    let broken = outcomes.iter().filter(|outcome| outcome.violations > 0.0).count();
    let mut text = format!(
        "{}\n{} incidents, law broken in {broken}: {}\n",
        table(&head, &rows),
        outcomes.len(),
        verdict(broken == 0)
    );
    if !arguments.quick {
        text.push_str(
            "\nEvaluation stops or starts (a real Prometheus, every duration divided by sixty):\n\n",
        );
        let told = stories()?;
        let rows: Vec<_> = told
            .iter()
            .flat_map(|told| {
                row(told.name, "page", told.page, "").into_iter().chain(row(
                    told.name,
                    "ticket",
                    told.ticket,
                    "",
                ))
            })
            .collect();
        text.push_str(&table(&head, &rows));
    }
    Ok(text)
}

fn stories() -> Result<Vec<stopped::Told>> {
    let stories = stopped::stories();
    parallel(stories.len(), &stories, |story| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(stopped::tell(None, story))
    })
}

/// One row of the equivalence table; none for a ticket that neither profile raised.
fn row(name: &str, severity: &str, both: [Option<Firing>; 2], law: &str) -> Option<Vec<String>> {
    let [sloth, lean] = both;
    if severity == "ticket" && sloth.is_none() && lean.is_none() {
        return None;
    }
    let time = |firing: Option<Firing>, of: fn(Firing) -> f64| {
        firing.map_or_else(|| "-".to_owned(), |firing| clock(of(firing)))
    };
    let difference = |of: fn(Firing) -> f64| match (sloth, lean) {
        (Some(sloth), Some(lean)) => format!("{:+.0} s", of(lean) - of(sloth)),
        (None, None) => "-".to_owned(),
        (None, Some(_)) => "lean only".to_owned(),
        (Some(_), None) => "sloth only".to_owned(),
    };
    Some(vec![
        name.to_owned(),
        severity.to_owned(),
        time(sloth, |firing| firing.from),
        time(lean, |firing| firing.from),
        difference(|firing| firing.from),
        time(sloth, |firing| firing.to),
        time(lean, |firing| firing.to),
        difference(|firing| firing.to),
        law.to_owned(),
    ])
}

/// `1:02:03`, with a sign before the incident.
fn clock(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs().round();
    format!(
        "{sign}{}:{:02}:{:02}",
        (seconds / 3600.0).floor(),
        (seconds / 60.0).floor() % 60.0,
        seconds % 60.0
    )
}

fn cost_table(arguments: &Arguments) -> Result<String> {
    let sizes = match (arguments.series.as_slice(), arguments.quick) {
        ([], true) => vec![40],
        ([], false) => vec![40, 400, 4000],
        (sizes, _) => sizes.to_vec(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut programs = vec![programs::prometheus()?];
    programs.extend(arguments.prometheus3.clone());
    let (mut rows, mut goals) = (Vec::new(), Vec::new());
    for program in &programs {
        let version = version(program)?;
        for series in &sizes {
            let duration = std::time::Duration::from_secs(arguments.seconds);
            let [sloth, lean] = runtime.block_on(rule_cost::measure(Some(program), *series, duration))?;
            for (profile, cost) in [("sloth", &sloth), ("lean", &lean)] {
                if arguments.each {
                    for (name, seconds, per_hour) in &cost.each {
                        eprintln!("{series} {profile} {name}: {:.0} us, {per_hour:.0}/h", seconds * 1e6);
                    }
                }
                let base = if profile == "lean" { format!("{:.3}", cost.base) } else { "-".to_owned() };
                rows.push(vec![
                    version.clone(),
                    series.to_string(),
                    profile.to_owned(),
                    format!("{:.3}", cost.seconds),
                    format!("{:.3}", cost.quiet),
                    format!("{:.3}", cost.hot),
                    base,
                    format!("{:.0}", cost.samples),
                    cost.rules.to_string(),
                    format!("{:.0}", cost.series),
                    cost.evaluations.to_string(),
                ]);
            }
            let time = sloth.seconds / lean.seconds;
            let samples = sloth.samples / lean.samples;
            let floor = lean.seconds / lean.base;
            let mut add = |what: &str, figure: String, verdict: &str| {
                goals.push(vec![
                    version.clone(),
                    series.to_string(),
                    what.to_owned(),
                    figure,
                    verdict.to_owned(),
                ]);
            };
            let mut goal = |what: &str, figure: String, met: bool| add(what, figure, verdict(met));
            let (quiet, hot) = (sloth.quiet / lean.quiet, sloth.hot / lean.hot);
            match series {
                40 => {
                    goal(
                        "lean at least 20 times less time than sloth",
                        format!("{time:.1} (quiet {quiet:.1}, hot {hot:.1})"),
                        time >= 20.0,
                    );
                    goal(
                        "lean at least 1,000 times fewer samples",
                        format!("{samples:.0}"),
                        samples >= 1000.0,
                    );
                }
                4000 => {
                    let quiet_floor = lean.quiet / lean.base_quiet;
                    goal(
                        "lean at most 1.5 times its base recordings",
                        format!("{floor:.2} (quiet {quiet_floor:.2})"),
                        floor <= 1.5,
                    );
                    goal(
                        "lean at least 40 times less time than sloth",
                        format!("{time:.1} (quiet {quiet:.1}, hot {hot:.1})"),
                        time >= 40.0,
                    );
                }
                _ => add(
                    "(no goal) time and samples",
                    format!("{time:.1}, {samples:.0}; {floor:.2} of the base"),
                    "-",
                ),
            }
        }
    }
    let head = [
        "server",
        "series",
        "profile",
        "s/h",
        "s/h, lower quartile",
        "s/h, hot queries",
        "of it base",
        "samples/h",
        "rules",
        "series added",
        "evaluations seen",
    ];
    let goal_head = ["server", "series", "goal", "figure", "verdict"];
    Ok(format!("{}\n{}", table(&head, &rows), table(&goal_head, &goals)))
}
