//! Back-filling end to end: a history of raw counters, the real promtool, a real Prometheus, rules that take over.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use daemon_kit::prom::{Client, Options, Series};
use slo_engine::app::Io;
use slo_engine::commands::backfill::{Job, Moment, write};
use slo_engine_core::profile::lean::{LeanOptions, rules};
use slo_engine_core::{AlertWindow, PeriodWindows, Slo, WindowPair};
use testbed::http::{HttpServer, Reply};
use testbed::{Prometheus, Target, programs, wait};

use super::lean_support as support;

const HOUR_MS: i64 = 3_600_000;

/// A six hour period over a base window of one minute.
fn windows() -> PeriodWindows {
    let window = |percent, short: u64, long: u64| AlertWindow {
        error_budget_percent: percent,
        short: support::secs(short * 60),
        long: support::secs(long * 60),
    };
    PeriodWindows {
        period: support::secs(6 * 3600),
        page: WindowPair { quick: window(2.0, 1, 10), slow: window(5.0, 5, 30) },
        ticket: WindowPair { quick: window(10.0, 15, 60), slow: window(10.0, 30, 120) },
    }
}

fn lean() -> LeanOptions {
    LeanOptions {
        interval: Some(support::secs(2)),
        slow_interval: Some(support::secs(4)),
        scrape_interval: support::secs(1),
        ..LeanOptions::default()
    }
}

fn slo() -> Slo {
    Slo { period: support::secs(6 * 3600), objective: 95.0, ..support::shop() }
}

/// Events of one instance since the start of the story: waves of traffic, one percent errors, a burst every 20 minutes.
#[derive(Clone, Copy)]
struct Story {
    start_ms: i64,
}

impl Story {
    #[allow(clippy::cast_precision_loss, reason = "hours")]
    fn at(self, at_ms: i64) -> (f64, f64) {
        let t = (at_ms - self.start_ms) as f64 / 1_000.0;
        let wave = std::f64::consts::TAU / 1_800.0;
        let total = 40.0 * t + 20.0 / wave * (1.0 - (wave * t).cos());
        let bursts = (t / 1_200.0).floor() * 150.0 + 5.0 * (t % 1_200.0).min(30.0);
        (total, total / 100.0 + bursts)
    }
}

#[allow(clippy::disallowed_methods, reason = "real servers live in real time")]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

async fn exporter(story: Story) -> HttpServer {
    HttpServer::start(move |_| {
        let (total, error) = story.at(now_ms());
        Reply::metrics(format!("all_total {total}\nbad_total {error}\n"))
    })
    .await
    .unwrap()
}

/// One sample a second until now, as if the exporters had been scraped all along.
fn raw_history(story: Story, until_ms: i64, instances: &[String]) -> String {
    let mut text = String::new();
    for (name, is_total) in [("all_total", true), ("bad_total", false)] {
        for instance in instances {
            for at in (story.start_ms..until_ms).step_by(1_000) {
                let (total, error) = story.at(at);
                let value = if is_total { total } else { error };
                let (s, ms) = (at / 1_000, at % 1_000);
                writeln!(text, "{name}{{instance=\"{instance}\",job=\"shop\"}} {value} {s}.{ms:03}").unwrap();
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

/// Makes blocks of an OpenMetrics file, marks them as docs/backfill.md says, and moves them into a data directory.
async fn import(file: &Path, data: &Path, mark: bool) {
    let (file, data) = (file.to_owned(), data.to_owned());
    // The exporters go on meanwhile.
    tokio::task::spawn_blocking(move || import_now(&file, &data, mark)).await.unwrap();
}

fn import_now(file: &Path, data: &Path, mark: bool) {
    let blocks = tempfile::tempdir_in(data).unwrap();
    programs::run(
        &programs::promtool().unwrap(),
        [
            "tsdb".as_ref(),
            "create-blocks-from".as_ref(),
            "openmetrics".as_ref(),
            file.as_os_str(),
            blocks.path().as_os_str(),
        ],
    )
    .unwrap();
    for entry in std::fs::read_dir(blocks.path()).unwrap() {
        let block = entry.unwrap().path();
        if !block.join("meta.json").is_file() {
            continue;
        }
        if mark {
            let status = Command::new("sed")
                .args(["-i", r#"s/"compaction": {/"compaction": {"hints": ["from-out-of-order"],/"#])
                .arg(block.join("meta.json"))
                .status()
                .unwrap();
            assert!(status.success());
        }
        std::fs::rename(&block, data.join(block.file_name().unwrap())).unwrap();
    }
}

struct Scene {
    folder: tempfile::TempDir,
    story: Story,
    targets: Vec<Target>,
    _exporters: Vec<HttpServer>,
}

impl Scene {
    /// Seven hours of history, in blocks, and exporters that go on with it.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let until = now_ms();
        let story = Story { start_ms: until - 7 * HOUR_MS };
        let exporters = vec![exporter(story).await, exporter(story).await];
        let targets: Vec<Target> = exporters
            .iter()
            .map(|exporter| Target {
                job: "shop".into(),
                address: exporter.address(),
                labels: BTreeMap::new(),
            })
            .collect();
        let instances: Vec<String> = targets.iter().map(|target| target.address.to_string()).collect();
        let raw = folder.path().join("raw.om");
        support::write(&raw, &raw_history(story, until, &instances));
        let scene = Self { folder, story, targets, _exporters: exporters };
        import(&raw, &scene.data(), false).await;
        scene
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    async fn prometheus(&self, rules: Option<&Path>) -> Prometheus {
        let builder = Prometheus::builder().data(self.data()).targets(self.targets.clone());
        let builder = if let Some(rules) = rules { builder.rules(rules) } else { builder };
        builder.start().await.unwrap()
    }

    /// Both instances.
    fn truth(&self, at_ms: i64) -> (f64, f64) {
        let (total, error) = self.story.at(at_ms);
        (2.0 * total, 2.0 * error)
    }
}

fn client(prometheus: &Prometheus) -> Client {
    Client::new(Options::new(prometheus.url())).unwrap()
}

/// Runs the command's core; what it says on standard error is handed back.
async fn fill(prometheus: &Prometheus, out: &Path, to: Moment) -> (bool, String) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut stdin = std::io::empty();
    let job = Job {
        slos: vec![(slo(), windows())],
        lean: lean(),
        client: client(prometheus),
        from: None,
        to,
        now_ms: now_ms(),
        replace: false,
        force: false,
    };
    let done = write(job, out, &mut Io::plain(&mut stdin, &mut stdout, &mut stderr)).await.unwrap();
    assert!(stdout.is_empty());
    (done, String::from_utf8(stderr).unwrap())
}

async fn value(client: &Client, query: &str, at_ms: Option<i64>) -> Option<f64> {
    let answer = client.instant(query, at_ms).await.unwrap().value;
    assert!(answer.len() <= 1, "{query}: {answer:?}");
    answer.first().and_then(Series::last)
}

/// Longest time between two scrapes of the last minutes, the restart's included.
async fn longest_gap(client: &Client) -> i64 {
    let answer = client.instant("all_total[5m]", None).await.unwrap().value;
    let gaps =
        answer.iter().flat_map(|series| series.samples.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms));
    gaps.max().unwrap()
}

fn close(what: &str, got: f64, want: f64, relative: f64) {
    assert!((got - want).abs() <= relative * want.abs(), "{what}: {got}, should be {want}");
}

#[tokio::test]
async fn the_rules_take_over_where_the_filled_past_ends() {
    let scene = Scene::new().await;
    let past = scene.folder.path().join("past.om");
    let mut before = scene.prometheus(None).await;
    let (done, said) = fill(&before, &past, Moment::parse("now").unwrap()).await;
    assert!(done, "{said}");
    assert!(said.contains("% covered"), "{said}");
    assert!(said.contains("Blocks that reach the present"), "{said}");
    let recent = past.with_extension("recent.om");
    let ends = |file: &Path| std::fs::read_to_string(file).unwrap().ends_with("\n# EOF\n");
    assert!(ends(&past) && ends(&recent));
    import(&past, &scene.data(), false).await;
    import(&recent, &scene.data(), true).await;
    before.stop();

    let rule_file = scene.folder.path().join("rules.json");
    support::write(&rule_file, &support::rule_file(&rules(&slo(), &windows(), &lean()).0));
    let prometheus = scene.prometheus(Some(&rule_file)).await;
    let client = client(&prometheus);
    let tally =
        |event: &str| format!("slo:sli_events:tally{{sloth_id=\"shop-orders\",sloth_event=\"{event}\"}}");
    let started = now_ms();

    // Well past the base window, where the count stands on its own samples.
    let period = "slo:sli_error:ratio_rate6h{sloth_id=\"shop-orders\"}";
    wait::until("eighty seconds of the rules' own samples", Duration::from_secs(240), || async {
        let late = value(&client, &format!("timestamp({})", tally("total")), None).await;
        let slow = value(&client, &format!("timestamp({period})"), None).await;
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
        let enough = started as f64 / 1_000.0 + 80.0;
        Ok((late.is_some_and(|at| at > enough) && slow.is_some_and(|at| at > enough)).then_some(()))
    })
    .await
    .unwrap();

    let unscraped = longest_gap(&client).await;
    assert!(unscraped < 30_000, "the machine is too busy for this test: nothing scraped for {unscraped} ms");

    // The count is the truth plus a constant, before, across and after the seam: nothing lost, nothing twice.
    let now = now_ms();
    for (event, pick, most_a_second) in [("total", 0, 120.0), ("error", 1, 11.2)] {
        let answer = client.range(&tally(event), started - 30 * 60_000, now, 2_000).await.unwrap().value;
        let samples = &answer.first().unwrap().samples;
        assert_eq!(answer.len(), 1);
        let truth = |at_ms: i64| {
            let truth = scene.truth(at_ms);
            if pick == 0 { truth.0 } else { truth.1 }
        };
        let constant = samples[0].value - truth(samples[0].at_ms);
        // What the restart left unscraped is lost at most once, and a look-up is up to an interval old. Were a base window
        // lost or counted twice, it would be a minute.
        #[allow(clippy::cast_precision_loss, reason = "seconds")]
        let slack = most_a_second * (unscraped as f64 / 1_000.0 + 3.0);
        for sample in samples {
            let off = sample.value - truth(sample.at_ms) - constant;
            assert!(
                off.abs() <= slack,
                "{event} at {} ms after the start: off by {off}",
                sample.at_ms - started
            );
        }
    }

    // Long windows are what the raw series say.
    for (window, tolerance) in [("10m", 0.02), ("30m", 0.02), ("2h", 0.005), ("6h", 0.005)] {
        let recorded = format!("slo:sli_error:ratio_rate{window}{{sloth_id=\"shop-orders\"}}");
        let at = value(&client, &format!("timestamp({recorded})"), None).await.unwrap();
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds since 1970")]
        let at = (at * 1_000.0) as i64;
        let got = value(&client, &recorded, Some(at)).await.unwrap();
        let direct = format!("sum(increase(bad_total[{window}])) / sum(increase(all_total[{window}]))");
        close(window, got, value(&client, &direct, Some(at)).await.unwrap(), tolerance);
    }
    // One series before and after: a label too few or too many would make it two.
    let remaining =
        value(&client, "slo:period_error_budget_remaining:ratio{sloth_id=\"shop-orders\"}", None).await;
    let ratio = value(&client, period, None).await.unwrap();
    close("remaining budget", remaining.unwrap(), 1.0 - ratio / 0.05, 0.01);

    let answer = client
        .instant("count by (__name__, sloth_window, sloth_event) ({sloth_id=\"shop-orders\"}) > 1", None);
    let answer = answer.await.unwrap().value;
    assert!(answer.is_empty(), "series whose past has other labels: {answer:?}");

    // The past has its graphs, and a birth of its own.
    let earlier = now - 2 * HOUR_MS;
    let got =
        value(&client, "slo:sli_error:ratio_rate30m{sloth_id=\"shop-orders\"}", Some(earlier)).await.unwrap();
    let direct = "sum(increase(bad_total[30m])) / sum(increase(all_total[30m]))";
    close("30m two hours ago", got, value(&client, direct, Some(earlier)).await.unwrap(), 0.05);
    let born = value(&client, "slo:sli_events:born{sloth_id=\"shop-orders\"}", None).await.unwrap();
    #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970")]
    let age = started as f64 / 1_000.0 - born;
    assert!(age > 6.0 * 3600.0, "born {age} s before the rules");

    // Once the rules count, a second past would not join.
    let (done, said) = fill(&prometheus, &past, Moment::parse("now").unwrap()).await;
    assert!(!done && said.contains("counted already") && said.contains("nothing was written"), "{said}");
}

#[tokio::test]
async fn failures_are_told_and_nothing_is_written() {
    let mut prometheus = Prometheus::builder().start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("past.om");
    let (done, said) = fill(&prometheus, &out, Moment::parse("now").unwrap()).await;
    assert!(!done);
    assert!(said.contains("error: shop-orders: nothing to fill, this gives no number between"), "{said}");
    assert!(said.contains("sum(rate(all_total[1m"), "{said}");
    prometheus.stop();
    let (done, said) = fill(&prometheus, &out, Moment::parse("now").unwrap()).await;
    assert!(!done);
    assert!(said.contains("error: shop-orders: cannot reach http://127.0.0.1:"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
