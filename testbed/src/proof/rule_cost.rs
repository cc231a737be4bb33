//! What Prometheus itself spends on the rules of one SLO.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use slo_engine_core::{PromDuration, RuleGroup, RuleKind};
use tokio::time::Instant;

use super::history::{self, Fleet};
use super::subject::{self, Profile, write_rules};
use crate::http::{HttpServer, Reply};
use crate::{Prometheus, Target};

/// Evaluations of every rule that a figure needs at least.
const LEAST: usize = 3;
/// Groups are evaluated this often while measured: what one evaluation costs does not depend on it, and every group gets
/// enough of them in a short run.
const MEASURED_EVERY: PromDuration = PromDuration::from_secs(10);
/// Repeated queries of an expression, unless they take too long.
const REPEATS: usize = 40;
const ENOUGH: Duration = Duration::from_secs(3);
/// No evaluation takes longer, and no query.
const LONG: Duration = Duration::from_secs(900);
const WARM_UP: Duration = Duration::from_secs(45);

/// Cost of one profile, per hour of operation.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Seconds of evaluation: medians over the run.
    pub seconds: f64,
    /// The same from the lower quartile: less disturbed by other programs.
    pub quiet: f64,
    /// Of it the rules that read raw series.
    pub base: f64,
    /// The same from the lower quartile.
    pub base_quiet: f64,
    /// Seconds when every expression is queried again and again and the fastest counts: no cold caches, no neighbours, no
    /// writing of results.
    pub hot: f64,
    /// Samples read.
    pub samples: f64,
    /// Rules.
    pub rules: usize,
    /// Series with the SLO's identity, alerts included.
    pub series: f64,
    /// Evaluations of a group that were seen, at least.
    pub evaluations: usize,
    /// Median seconds of each rule's evaluation, with its evaluations per hour.
    pub each: Vec<(String, f64, f64)>,
}

/// Both profiles over one history.
///
/// # Errors
/// When a server does not start, or a rule fails.
pub async fn measure(program: Option<&Path>, series: usize, duration: Duration) -> Result<[Cost; 2]> {
    let folder = tempfile::Builder::new().prefix("testbed-history-").tempdir().context("make a folder")?;
    let mut groups = Vec::new();
    for profile in [Profile::Sloth, Profile::Lean] {
        groups.push((profile, subject::rules(profile, &subject::slo(profile.service()))?));
    }
    let all: Vec<RuleGroup> = groups.iter().flat_map(|(_, groups)| groups.clone()).collect();
    let mut fleet = Fleet::new(series);
    // Writing takes a while; the history should reach the moment at which the server starts.
    let lines = series as u64 * history::RAW / 30 + 6_000_000;
    let now = std::time::UNIX_EPOCH.elapsed().context("the clock is before 1970")?.as_secs();
    let end = (now + 10 + lines / 250_000) / 30 * 30;
    history::write(folder.path(), &mut fleet, &all, end)?;
    let fleet = Arc::new(Mutex::new((fleet, Instant::now())));
    let mut costs = Vec::new();
    // The cheap one first: it disturbs nothing.
    for (profile, groups) in groups.iter().rev() {
        let now = std::time::UNIX_EPOCH.elapsed().context("the clock is before 1970")?.as_secs();
        tokio::time::sleep(Duration::from_secs(end.saturating_sub(now))).await;
        let cost = one(program, *profile, groups, folder.path(), Arc::clone(&fleet), duration).await?;
        eprintln!(
            "{series} series, {}: {:.3} s/h, of it base {:.3}",
            profile.service(),
            cost.seconds,
            cost.base
        );
        costs.push(cost);
    }
    costs.reverse();
    match <[Cost; 2]>::try_from(costs) {
        Ok(costs) => Ok(costs),
        Err(_) => bail!("two profiles have two costs"),
    }
}

async fn one(
    program: Option<&Path>,
    profile: Profile,
    groups: &[RuleGroup],
    data: &Path,
    fleet: Arc<Mutex<(Fleet, Instant)>>,
    duration: Duration,
) -> Result<Cost> {
    let exporter = HttpServer::start(move |_| {
        let Ok(mut fleet) = fleet.lock() else {
            return Reply::text(hyper::StatusCode::INTERNAL_SERVER_ERROR, "poisoned");
        };
        let passed = fleet.1.elapsed().as_secs_f64();
        fleet.1 = Instant::now();
        Reply::metrics(fleet.0.expose(passed))
    })
    .await?;
    let folder = tempfile::tempdir().context("make a folder")?;
    let file = folder.path().join("rules.yml");
    let mut measured = groups.to_vec();
    for group in &mut measured {
        group.interval = Some(MEASURED_EVERY);
    }
    write_rules(&file, &measured)?;
    let labels = BTreeMap::from([("instance".to_owned(), "shop".to_owned())]);
    let mut builder = Prometheus::builder()
        .scrape_interval(Duration::from_secs(30))
        .evaluation_interval(Duration::from_secs(30))
        .targets([Target { job: "shop".to_owned(), address: exporter.address(), labels }])
        .rules(&file)
        .data(data)
        .flag("--storage.tsdb.retention.time=40d");
    if let Some(program) = program {
        builder = builder.program(program);
    }
    let server = builder.start().await?;
    tokio::time::sleep(WARM_UP).await;
    let broken = server.evaluated(LONG).await?;
    if !broken.is_empty() {
        bail!("rules fail: {broken:?}");
    }
    let times = watch(&server, duration).await?;
    let per_hour = |group: &RuleGroup| {
        // Sloth leaves the interval to the server: thirty seconds here.
        3_600_000.0 / group.interval.map_or(30_000.0, |interval| interval.as_secs_f64() * 1000.0)
    };
    let mut cost = Cost {
        seconds: 0.0,
        quiet: 0.0,
        base: 0.0,
        base_quiet: 0.0,
        hot: 0.0,
        samples: 0.0,
        rules: groups.iter().map(|group| group.rules.len()).sum(),
        series: 0.0,
        evaluations: times.values().map(BTreeMap::len).min().unwrap_or(0),
        each: Vec::new(),
    };
    for group in groups {
        let times_of = |index: usize| times.get(&(group.name.clone(), index)).context("a rule was not seen");
        for (index, rule) in group.rules.iter().enumerate() {
            let (median, quiet) = (quantile(times_of(index)?, 0.5), quantile(times_of(index)?, 0.25));
            cost.seconds += median * per_hour(group);
            cost.quiet += quiet * per_hour(group);
            if rule.kind == RuleKind::Record && rule.expr.contains("http_requests_total") {
                cost.base += median * per_hour(group);
                cost.base_quiet += quiet * per_hour(group);
            }
            let (samples, hot) = query(&server, rule.expr.trim()).await?;
            cost.samples += samples * per_hour(group);
            cost.hot += hot * per_hour(group);
            let window = rule.labels.get("sloth_window").or_else(|| rule.labels.get("sloth_event"));
            let name =
                format!("{}{}", rule.name, window.map(|window| format!(" {window}")).unwrap_or_default());
            cost.each.push((name, median, per_hour(group)));
        }
    }
    let identity = format!("count({{sloth_id=\"{}-requests\"}})", profile.service());
    cost.series = server.value(&identity).await?.unwrap_or(0.0);
    Ok(cost)
}

/// Evaluation times in seconds by moment of evaluation, of each rule of each group.
type Times = BTreeMap<(String, usize), BTreeMap<String, f64>>;

async fn watch(server: &Prometheus, duration: Duration) -> Result<Times> {
    let mut times = Times::new();
    let until = Instant::now() + duration;
    let mut first: BTreeMap<(String, usize), String> = BTreeMap::new();
    while Instant::now() < until || times.is_empty() || times.values().any(|list| list.len() < LEAST) {
        if Instant::now() > until + LONG {
            bail!("no group was evaluated {LEAST} times in {} s", (duration + LONG).as_secs());
        }
        let answer = server.client().get("/api/v1/rules", &[]).await?;
        let groups = answer.pointer("/data/groups").and_then(Value::as_array).context("no groups")?;
        for group in groups {
            let name = group.get("name").and_then(Value::as_str).context("a group without name")?;
            let rules = group.get("rules").and_then(Value::as_array).context("a group without rules")?;
            for (index, value) in rules.iter().enumerate() {
                let (Some(at), Some(seconds)) = (
                    value.get("lastEvaluation").and_then(Value::as_str),
                    value.get("evaluationTime").and_then(Value::as_f64),
                ) else {
                    bail!("the rules API has no times: {value}");
                };
                // The one that was there before the watch began belongs to the warm-up.
                let before = first.entry((name.to_owned(), index)).or_insert_with(|| at.to_owned());
                let list = times.entry((name.to_owned(), index)).or_default();
                if before != at {
                    list.insert(at.to_owned(), seconds);
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(times)
}

fn quantile(times: &BTreeMap<String, f64>, share: f64) -> f64 {
    let mut sorted: Vec<f64> = times.values().copied().collect();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a short list"
    )]
    let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// Samples that an expression reads, and the seconds of the fastest of some repeated queries of it.
async fn query(server: &Prometheus, expr: &str) -> Result<(f64, f64)> {
    // Sloth's three days of 4,000 series take longer than any other call of the bed.
    let client = reqwest::Client::builder().no_proxy().timeout(LONG).build().context("build a client")?;
    let (mut samples, mut best) = (0.0, f64::INFINITY);
    let begin = Instant::now();
    for _ in 0..REPEATS {
        let request =
            client.get(format!("{}/api/v1/query", server.url())).query(&[("query", expr), ("stats", "all")]);
        let text =
            request.send().await.context("ask for samples")?.text().await.context("read the samples")?;
        let answer: Value = serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))?;
        let number = |pointer| answer.pointer(pointer).and_then(Value::as_f64);
        samples =
            number("/data/stats/samples/totalQueryableSamples").context("the server counts no samples")?;
        best = best.min(number("/data/stats/timings/execTotalTime").context("the server takes no time")?);
        if begin.elapsed() > ENOUGH {
            break;
        }
    }
    Ok((samples, best))
}
