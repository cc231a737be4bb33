//! Tables and raw runs.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use quota_enforcer::engine::probe::Stage;
use testbed::proof::report::{table, verdict};

use crate::board::{Finished, Run};

/// The 99th percentile from the sample's visibility to the quota on every broker.
const GOAL_MS: f64 = 1_000.0;

/// What the machine was like.
pub(crate) struct Conditions {
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) rule: &'static str,
}

/// Load averages over 1, 5 and 15 minutes.
pub(crate) fn load() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg").context("read the load")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores of {}", model.map_or("an unknown processor", |(_, name)| name.trim()))
}

/// Milliseconds of one run. Moments are counted from the sample's visibility and may lie before it.
struct Times {
    first_byte_to_visible: f64,
    /// Not after zero.
    unmissed: f64,
    began: f64,
    reached: [f64; 7],
    brokers: Vec<f64>,
    live: f64,
    /// The tick that acted, by when it began.
    tick: Duration,
    /// A tick that had confirmed the client did not act yet.
    held_up: bool,
}

impl Times {
    /// `None` when the run is not complete, which ends the bench before it gets here.
    fn of(run: &Run) -> Option<Self> {
        let (visible, acted) = (run.visible()?, run.acted.as_ref()?);
        let since = |at: Duration| (at.as_secs_f64() - visible.as_secs_f64()) * 1_000.0;
        let mut reached = [0.0; 7];
        for (to, stage) in reached.iter_mut().zip(Stage::ALL) {
            *to = since(*acted.reached.get(&stage)?);
        }
        let brokers: Vec<f64> = run.live.values().map(|at| since(*at)).collect();
        Some(Self {
            first_byte_to_visible: -since(run.first_byte?),
            unmissed: since(run.unmissed?),
            began: since(acted.began),
            reached,
            live: brokers.iter().copied().fold(f64::MIN, f64::max),
            brokers,
            tick: acted.began,
            held_up: !run.held_up.is_empty(),
        })
    }

    /// From the k-th sample of a watcher that misses none.
    fn since_unmissed(&self) -> f64 {
        self.live - self.unmissed
    }

    fn end_to_end(&self) -> f64 {
        self.first_byte_to_visible + self.live
    }

    /// What each stage took, with its name.
    fn stages(&self) -> [(&'static str, f64); 8] {
        let [observed, decided, intended, described, altered, told, done] = self.reached;
        [
            ("visible → the acting tick begins (poll phase)", self.began),
            ("metrics and quotas read", observed - self.began),
            ("decided", decided - observed),
            ("intent in the ledger (one transaction)", intended - decided),
            ("slot described", described - intended),
            ("altered: the controller has it", altered - described),
            ("live on every broker, as they tell others", self.live - altered),
            ("(after that) outcome in the ledger", done - told),
        ]
    }
}

/// The smallest value that `share` of all do not exceed.
fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank among the values")]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn summary(values: &[f64]) -> Vec<String> {
    [0.5, 0.99, 1.0].map(|share| format!("{:.0}", percentile(values, share))).to_vec()
}

fn seconds(values: &[f64]) -> Vec<String> {
    [0.5, 0.99, 1.0].map(|share| format!("{:.1} s", percentile(values, share) / 1_000.0)).to_vec()
}

/// Runs of one kind.
struct Group {
    scrape: Duration,
    tick: Duration,
    times: Vec<Times>,
}

impl Group {
    fn all(finished: &[Finished]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for one in finished {
            let Some(times) = Times::of(&one.run) else { continue };
            match groups.last_mut().filter(|group| (group.scrape, group.tick) == (one.scrape, one.tick)) {
                Some(group) => group.times.push(times),
                None => groups.push(Self { scrape: one.scrape, tick: one.tick, times: vec![times] }),
            }
        }
        groups
    }

    fn pick(&self, value: impl Fn(&Times) -> f64) -> Vec<f64> {
        self.times.iter().map(value).collect()
    }

    fn name(&self) -> String {
        format!("{} s scrapes, {} ms ticks", self.scrape.as_secs(), self.tick.as_millis())
    }

    /// The goals are for scrapes every second.
    fn has_goals(&self) -> bool {
        self.scrape == Duration::from_secs(1)
    }

    /// One tick may act on several clients.
    fn ticks(&self) -> usize {
        self.times.iter().map(|times| times.tick).collect::<BTreeSet<_>>().len()
    }
}

/// How long a run took, from somewhere.
type Took = fn(&Times) -> f64;

/// From when a goal counts until the quota is live.
const GOALS: [(&str, Took); 2] = [
    ("the k-th confirming sample being visible", |times| times.live),
    ("the k-th sample of a watcher that misses none", Times::since_unmissed),
];

/// Which goals are met, for the head of the document.
pub(crate) fn goals(finished: &[Finished]) -> String {
    let mut rows = Vec::new();
    for group in Group::all(finished).iter().filter(|group| group.has_goals()) {
        for (from, took) in GOALS {
            let values = group.pick(took);
            let p99 = percentile(&values, 0.99);
            let mut result = format!("{}: {p99:.0} ms of {} runs", verdict(p99 < GOAL_MS), group.times.len());
            result +=
                &format!(" (median {:.0}, worst {:.0})", percentile(&values, 0.5), percentile(&values, 1.0));
            if p99 >= GOAL_MS {
                result += &slow(group, took);
            }
            rows.push(vec![from.to_owned(), format!("every {} ms", group.tick.as_millis()), result]);
        }
    }
    table(
        &["p99 below 1,000 ms to the first quota being live on all brokers, from", "ticks", "result"],
        &rows,
    )
}

/// Whether those that took too long are those that were held up.
fn slow(group: &Group, took: Took) -> String {
    let slow: Vec<&Times> = group.times.iter().filter(|times| took(times) >= GOAL_MS).collect();
    let held_up = slow.iter().filter(|times| times.held_up).count();
    let others = group.times.iter().filter(|times| !times.held_up).map(took).fold(0.0, f64::max);
    format!(
        ". Longer: {}; in {held_up} of these a tick that had confirmed the client did not act yet; \
         runs without such a tick took {others:.0} ms at most",
        slow.len()
    )
}

/// Everything that goes into the document.
pub(crate) fn body(finished: &[Finished], conditions: &Conditions) -> String {
    let groups = Group::all(finished);
    let mut text = format!(
        "{}, shared with the three brokers, Prometheus and all clients. Load average (1, 5, 15 minutes) before: {}; after: {}.\n\nThe rule: {}.\n",
        processor(),
        conditions.before,
        conditions.after,
        conditions.rule
    );
    for group in groups.iter().filter(|group| group.has_goals()) {
        text += &format!("\n### {}: {} runs\n\n", group.name(), group.times.len());
        text += &stages(group);
    }
    text += "\n### From the first byte\n\n";
    text += &end_to_end(&groups);
    text
}

fn stages(group: &Group) -> String {
    let row = |name: &str, values: &[f64], more: String| {
        let mut row = vec![name.to_owned()];
        row.extend(summary(values));
        row.push(more);
        row
    };
    let goal =
        |values: &[f64]| format!("p99 below 1,000 ms: {}", verdict(percentile(values, 0.99) < GOAL_MS));
    let mut rows = Vec::new();
    let names = group.times.first().map(Times::stages).into_iter().flatten();
    for (at, (name, _)) in names.enumerate() {
        let values = group.pick(|times| times.stages().get(at).map_or(f64::NAN, |(_, took)| *took));
        rows.push(row(name, &values, String::new()));
    }
    let total = group.pick(|times| times.live);
    rows.push(row("**visible → live on every broker**", &total, goal(&total)));
    let unmissed = group.pick(Times::since_unmissed);
    rows.push(row("the same from the k-th sample of a watcher that misses none", &unmissed, goal(&unmissed)));
    let mut text = table(&["stage", "p50 ms", "p99 ms", "max ms", "goal"], &rows);
    text += &format!(
        "\nIn {} of {} runs a tick that had confirmed the client did not act yet.\n",
        group.times.iter().filter(|times| times.held_up).count(),
        group.times.len()
    );
    text
}

fn end_to_end(groups: &[Group]) -> String {
    let mut rows = Vec::new();
    for group in groups {
        for (what, values) in [
            ("first byte → sample visible", group.pick(|times| times.first_byte_to_visible)),
            ("visible → live", group.pick(|times| times.live)),
            ("**first byte → live on every broker**", group.pick(Times::end_to_end)),
        ] {
            let runs = format!("{} by {} ticks", group.times.len(), group.ticks());
            let mut row = vec![group.name(), runs, what.to_owned()];
            row.extend(seconds(&values));
            rows.push(row);
        }
    }
    for (who, loop_time) in [
        ("kafka-kit autothrottle (replication throttles)", "180 s between looks"),
        ("Cruise Control anomaly detection", "300 s between looks"),
    ] {
        let row = [who, "published", loop_time, "", "", ""];
        rows.push(row.map(str::to_owned).to_vec());
    }
    table(&["loop", "runs", "what", "p50", "p99", "max"], &rows)
}

/// One line per run.
pub(crate) fn csv(finished: &[Finished]) -> String {
    let mut text =
        "scrape_ms,tick_ms,client,first_byte_to_visible,visible_to_a_watcher,tick_began".to_owned();
    for stage in Stage::ALL {
        text += &format!(",{}", stage.name());
    }
    text += ",broker_1,broker_2,broker_3,live_everywhere,first_byte_to_live,held_up\n";
    for one in finished {
        let Some(times) = Times::of(&one.run) else { continue };
        let numbers = [times.first_byte_to_visible, times.unmissed, times.began]
            .into_iter()
            .chain(times.reached)
            .chain(times.brokers.iter().copied())
            .chain([times.live, times.end_to_end()]);
        let numbers: Vec<String> = numbers.map(|number| format!("{number:.1}")).collect();
        let held_up = one.run.held_up.iter().cloned().collect::<Vec<_>>().join("; ").replace('"', "'");
        text += &format!(
            "{},{},{},{},\"{held_up}\"\n",
            one.scrape.as_millis(),
            one.tick.as_millis(),
            one.run.client,
            numbers.join(",")
        );
    }
    text
}
