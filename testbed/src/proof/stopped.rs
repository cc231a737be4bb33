//! Shapes in which evaluation itself stops or starts: a real Prometheus, every duration of the generated rules divided by
//! sixty, so that a minute of the story is a second.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use slo_engine_core::{PromDuration, RuleGroup};
use tokio::time::Instant;

use super::equivalence::Firing;
use super::subject::{self, Profile, write_rules};
use crate::http::{HttpServer, Reply};
use crate::{Prometheus, Target, files, programs};

/// Seconds of the story per second of the clock.
pub const FACTOR: u64 = 60;
const MINUTE: f64 = 60.0;

/// One story; times are seconds of the story after the start of Prometheus.
#[derive(Clone, Debug)]
pub struct Story {
    /// Heading.
    pub name: &'static str,
    /// Every event is an error in here.
    pub outage: (f64, f64),
    /// Prometheus does not run in here.
    pub down: Option<(f64, f64)>,
    /// End.
    pub end: f64,
}

/// What both profiles paged, in seconds of the story after the start of the outage.
#[derive(Clone, Debug)]
pub struct Told {
    /// Heading.
    pub name: &'static str,
    /// `sloth`, `lean`.
    pub page: [Option<Firing>; 2],
    /// `sloth`, `lean`.
    pub ticket: [Option<Firing>; 2],
}

/// The stories of the document.
#[must_use]
pub fn stories() -> Vec<Story> {
    let at = |minutes: f64| minutes * MINUTE;
    vec![
        Story {
            name: "Prometheus down for 20 min, outage from 10 min before to 20 min after",
            outage: (at(100.0), at(150.0)),
            down: Some((at(110.0), at(130.0))),
            end: at(260.0),
        },
        Story {
            name: "Prometheus down for 20 min, outage begins inside and lasts 20 min longer",
            outage: (at(110.0), at(140.0)),
            down: Some((at(100.0), at(120.0))),
            end: at(250.0),
        },
        Story {
            name: "Prometheus down for 20 min, outage of 8 min wholly inside",
            outage: (at(104.0), at(112.0)),
            down: Some((at(100.0), at(120.0))),
            end: at(220.0),
        },
        Story {
            name: "first day after the switch: outage 40 min after the first evaluation",
            outage: (at(40.0), at(60.0)),
            down: None,
            end: at(150.0),
        },
        Story {
            name: "first day after the switch: outage ended 2 min before the first evaluation",
            outage: (at(-22.0), at(-2.0)),
            down: None,
            end: at(70.0),
        },
    ]
}

/// Divides every duration of an expression, and the seconds that are compared with `time()`.
#[must_use]
pub fn shrink(expr: &str) -> String {
    let mut out = String::with_capacity(expr.len());
    let mut rest = expr;
    while let Some(byte) = rest.chars().next() {
        let after = if rest.starts_with('[') {
            "["
        } else if rest.starts_with("offset ") {
            "offset "
        } else if rest.starts_with(':')
            && out.ends_with(|last: char| last.is_ascii_alphabetic())
            && rest.contains(']')
        {
            ":"
        } else if rest.starts_with("time() - ") {
            "time() - "
        } else {
            out.push(byte);
            rest = rest.get(byte.len_utf8()..).unwrap_or_default();
            continue;
        };
        out.push_str(after);
        rest = rest.get(after.len()..).unwrap_or_default();
        let end =
            rest.find(|next: char| !(next.is_ascii_alphanumeric() || next == '.')).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        match (PromDuration::parse(word), word.parse::<f64>()) {
            (_, Ok(seconds)) => out.push_str(&format!("{}", seconds / FACTOR as f64)),
            (Ok(duration), _) => out.push_str(&smaller(duration).to_string()),
            _ => out.push_str(word),
        }
        rest = tail;
    }
    out
}

fn smaller(duration: PromDuration) -> PromDuration {
    PromDuration::from_millis(duration.as_millis() / FACTOR)
}

fn shrunk(profile: Profile) -> Result<Vec<RuleGroup>> {
    let mut groups = subject::rules(profile, &subject::slo(profile.service()))?;
    for group in &mut groups {
        // Sloth leaves the interval to the server.
        group.interval = group.interval.map(smaller);
        for rule in &mut group.rules {
            rule.expr = shrink(&rule.expr);
            rule.hold = rule.hold.map(smaller);
        }
    }
    Ok(groups)
}

/// Counters that go on while nobody scrapes: events are a function of time.
#[derive(Clone, Copy, Debug)]
struct Counters {
    outage: (f64, f64),
}

impl Counters {
    /// Good and bad events at a second of the story; twenty a second, one in ten thousand bad in good times.
    fn at(self, second: f64) -> (f64, f64) {
        let inside = (second - self.outage.0).clamp(0.0, self.outage.1 - self.outage.0);
        let total = 1e7 + second * 20.0;
        let bad = 1e3 + (second - inside) * 0.002 + inside * 20.0;
        ((total - bad).floor(), bad.floor())
    }
}

/// Runs a story.
///
/// # Errors
/// When a server does not start or answer.
pub async fn tell(program: Option<&Path>, story: &Story) -> Result<Told> {
    let folder = tempfile::Builder::new().prefix("testbed-story-").tempdir().context("make a folder")?;
    let mut groups = shrunk(Profile::Sloth)?;
    groups.extend(shrunk(Profile::Lean)?);
    let rules = folder.path().join("rules.yml");
    write_rules(&rules, &groups)?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data).context("make a folder")?;
    let counters = Counters { outage: story.outage };
    // Raw series exist for three days of the story before the first evaluation; the start is where they end.
    let now = std::time::UNIX_EPOCH.elapsed().context("the clock is before 1970")?.as_secs_f64();
    let begin = now + 4.0;
    history(&data, counters, begin)?;
    let clock = Instant::now() + Duration::from_secs_f64((begin - unix()?).max(0.0));
    let story_time = move || signed_seconds(clock) * FACTOR as f64;
    let exporter = HttpServer::start(move |_| {
        let (good, bad) = counters.at(story_time());
        Reply::metrics(format!(
            "# TYPE http_requests_total counter\nhttp_requests_total{{code=\"200\"}} {good}\nhttp_requests_total{{code=\"500\"}} {bad}\n"
        ))
    })
    .await?;
    tokio::time::sleep_until(clock).await;
    let half = Duration::from_millis(30_000 / FACTOR);
    let builder = || {
        let labels = BTreeMap::from([("instance".to_owned(), "shop".to_owned())]);
        let builder = Prometheus::builder()
            .scrape_interval(half)
            .evaluation_interval(half)
            .targets([Target { job: "shop".to_owned(), address: exporter.address(), labels }])
            .rules(&rules)
            .data(&data)
            .flag(format!("--query.lookback-delta={}ms", 300_000 / FACTOR))
            .flag("--storage.tsdb.retention.time=40d");
        match program {
            Some(program) => builder.program(program),
            None => builder,
        }
    };
    let mut server = builder().start().await?;
    let until = |second: f64| clock + Duration::from_secs_f64((second / FACTOR as f64).max(0.0));
    if let Some((from, to)) = story.down {
        tokio::time::sleep_until(until(from)).await;
        server.stop();
        tokio::time::sleep_until(until(to)).await;
        server = builder().start().await?;
    }
    tokio::time::sleep_until(until(story.end)).await;
    let mut told = Told { name: story.name, page: [None; 2], ticket: [None; 2] };
    for (index, profile) in [Profile::Sloth, Profile::Lean].into_iter().enumerate() {
        for (severity, list) in [("page", &mut told.page), ("ticket", &mut told.ticket)] {
            let expr = format!(
                "ALERTS{{alertstate=\"firing\",alertname=\"Burning\",sloth_severity=\"{severity}\",sloth_service=\"{}\"}}[{}ms]",
                profile.service(),
                (story.end / FACTOR as f64 * 1000.0) as u64,
            );
            let answer = server.client().get("/api/v1/query", &[("query", &expr)]).await?;
            if let Some(slot) = list.get_mut(index) {
                *slot = firing(&answer, begin, story);
            }
        }
    }
    Ok(told)
}

/// Every sample of the alert, not a grid: real evaluations have phases.
fn firing(answer: &Value, begin: f64, story: &Story) -> Option<Firing> {
    let result = answer.pointer("/data/result")?.as_array()?;
    let mut times: Vec<f64> = result
        .iter()
        .filter_map(|series| series.get("values")?.as_array())
        .flatten()
        .filter_map(|pair| pair.get(0)?.as_f64())
        .map(|at| (at - begin) * FACTOR as f64 - story.outage.0)
        .collect();
    times.sort_by(f64::total_cmp);
    Some(Firing { from: *times.first()?, to: *times.last()? + 30.0, evaluations: times.len() as f64 })
}

fn history(data: &Path, counters: Counters, begin: f64) -> Result<()> {
    let mut good = String::from("# TYPE http_requests counter\n");
    let mut bad = String::new();
    let seconds = 3.0 * 86_400.0;
    let step = 30.0;
    let mut second = -seconds;
    while second < 0.0 {
        let (good_count, bad_count) = counters.at(second);
        let at = begin + second / FACTOR as f64;
        good.push_str(&format!(
            "http_requests_total{{job=\"shop\",instance=\"shop\",code=\"200\"}} {good_count} {at:.3}\n"
        ));
        bad.push_str(&format!(
            "http_requests_total{{job=\"shop\",instance=\"shop\",code=\"500\"}} {bad_count} {at:.3}\n"
        ));
        second += step;
    }
    let file = data.join("history.om");
    files::write(&file, &format!("{good}{bad}# EOF\n"))?;
    let promtool = programs::promtool()?;
    let path = file.display().to_string();
    let folder = data.display().to_string();
    programs::run(&promtool, ["tsdb", "create-blocks-from", "openmetrics", "--quiet", &path, &folder])?;
    std::fs::remove_file(&file).context("remove the history file")
}

fn unix() -> Result<f64> {
    Ok(std::time::UNIX_EPOCH.elapsed().context("the clock is before 1970")?.as_secs_f64())
}

/// Seconds since the start of the story; negative before it.
fn signed_seconds(clock: Instant) -> f64 {
    let now = Instant::now();
    if now >= clock { (now - clock).as_secs_f64() } else { -(clock - now).as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_shrink_and_names_stay() {
        let expr = "last_over_time(slo:tally{a=\"30d\"}[6h:5m] offset 5m) and (born <= time() - 3600) / slo:sli_error:ratio_rate1h{w=\"1h\"} * 300";
        let small = "last_over_time(slo:tally{a=\"30d\"}[6m:5s] offset 5s) and (born <= time() - 60) / slo:sli_error:ratio_rate1h{w=\"1h\"} * 300";
        assert_eq!(shrink(expr), small);
        assert_eq!(shrink("x[29s999ms] offset 3d30m"), "x[499ms] offset 1h12m30s");
    }
}
