//! Every window's ratio beside the true one of simulated events: profile `lean`, the direct query, and Sloth's period.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use slo_engine_core::{PromDuration, RuleKind};

use super::promtool::{Probe, Run};
use super::subject::{self, Profile};
use super::traffic::{Random, Target, simulate, truth};

const SCRAPE: u64 = 30;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Events that a counter counted before the simulation.
const OLD: u64 = 1_000_000;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Heading.
    pub name: String,
    /// Binary.
    pub promtool: PathBuf,
    /// Length in seconds.
    pub seconds: u64,
    /// Scrapes fall exactly on evaluations.
    pub aligned: bool,
    /// Scrape gaps and counter resets.
    pub gaps: bool,
    /// Windows are looked at this many times per seed.
    pub moments: u64,
    /// One simulation each; the deviations are pooled.
    pub seeds: Vec<u64>,
}

/// Deviations of one window, relative to the true ratio.
#[derive(Clone, Debug)]
pub struct Row {
    /// Window.
    pub window: PromDuration,
    /// Ratio of profile `lean`.
    pub lean: Deviation,
    /// The user's query over the whole window, as Sloth computes all windows but the period.
    pub direct: Deviation,
    /// What profile `sloth` records: the direct query, for the period the mean of the 5m ratios.
    pub sloth: Deviation,
}

/// Over all moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deviation {
    /// Sum of relative deviations.
    sum: f64,
    /// Largest relative deviation.
    pub worst: f64,
    /// Moments with a value.
    pub seen: u32,
    /// Moments without one.
    pub absent: u32,
}

impl Deviation {
    /// Mean of the relative deviations.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.seen == 0 { f64::NAN } else { self.sum / f64::from(self.seen) }
    }

    fn merge(&mut self, other: Self) {
        self.sum += other.sum;
        self.worst = if other.worst.is_nan() { other.worst } else { self.worst.max(other.worst) };
        self.seen += other.seen;
        self.absent += other.absent;
    }

    fn add(&mut self, value: Option<f64>, truth: f64) {
        match value {
            Some(value) => {
                let relative = (value - truth).abs() / truth;
                self.sum += relative;
                // A NaN stays: it must not hide.
                self.worst = if relative.is_nan() { f64::NAN } else { self.worst.max(relative) };
                self.seen += 1;
            }
            None => self.absent += 1,
        }
    }
}

/// Four targets, diurnal traffic, incidents of every size.
fn targets(scenario: &Scenario, seed: u64) -> Vec<Target> {
    let mut random = Random::new(seed);
    let mut incidents = Vec::new();
    let mut second = HOUR;
    while second < scenario.seconds {
        let length = random.index(3 * MINUTE, 90 * MINUTE);
        incidents.push((
            second,
            second + length,
            10_f64.powf(random.between(-2.7, -0.2)),
            random.index(0, 5),
        ));
        second += length + random.index(30 * MINUTE, 6 * HOUR);
    }
    let shape = move |target: usize, second: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a few days in seconds")]
        let day = second as f64 / DAY as f64 * std::f64::consts::TAU;
        let rate = 6.0 * (1.0 + 0.7 * day.sin()) * if target == 3 { 0.4 } else { 1.0 };
        let incident = incidents.iter().find(|(from, to, ..)| (*from..*to).contains(&second));
        // The fifth "target" stands for all of them.
        let ratio = incident
            .map_or(0.0, |(_, _, ratio, on)| if *on == 4 || *on == target as u64 { *ratio } else { 0.0 });
        (rate, ratio.max(0.0005))
    };
    (0..4_u64)
        .map(|index| {
            let phase = if scenario.aligned { 0 } else { 3 + 7 * index };
            #[expect(clippy::cast_possible_truncation, reason = "four targets")]
            let mut target = simulate(&shape, index as usize, scenario.seconds, phase, &mut random);
            // It has been running for long: `increase` treats a counter near zero as one that was just born.
            target.started = OLD;
            if scenario.gaps {
                interrupt(&mut target, scenario.seconds, &mut random);
            }
            target
        })
        .collect()
}

/// A gap every ~10 hours of 30 s to 30 min, a reset every ~17 hours.
fn interrupt(target: &mut Target, seconds: u64, random: &mut Random) {
    let mut second = random.index(HOUR, 10 * HOUR);
    while second < seconds {
        let length = random.index(30, 30 * MINUTE);
        target.gaps.push((second, second + length));
        second += length + random.index(5 * HOUR, 15 * HOUR);
    }
    let mut second = random.index(HOUR, 17 * HOUR);
    while second < seconds {
        target.resets.push(second);
        second += random.index(10 * HOUR, 24 * HOUR);
    }
}

/// Runs the rules and compares, all seeds together.
///
/// # Errors
/// When promtool cannot run or refuses the rules.
pub fn measure(scenario: &Scenario) -> Result<Vec<Row>> {
    let mut pooled: Vec<Row> = Vec::new();
    for seed in &scenario.seeds {
        let rows = one(scenario, *seed)?;
        if pooled.is_empty() {
            pooled = rows;
            continue;
        }
        for (sum, row) in pooled.iter_mut().zip(rows) {
            sum.lean.merge(row.lean);
            sum.direct.merge(row.direct);
            sum.sloth.merge(row.sloth);
        }
    }
    Ok(pooled)
}

fn one(scenario: &Scenario, seed: u64) -> Result<Vec<Row>> {
    let targets = targets(scenario, seed);
    let recordings = |profile: Profile| -> Result<Vec<_>> {
        let groups = subject::rules(profile, &subject::slo(profile.service()))?;
        Ok(subject::only(groups, |rule| rule.kind == RuleKind::Record))
    };
    let sloth = recordings(Profile::Sloth)?;
    let mut groups = recordings(Profile::Lean)?;
    // Sloth's other windows are read at the moments only: they depend on nothing recorded.
    groups.extend(subject::only(sloth.clone(), |rule| rule.name == "slo:sli_error:ratio_rate5m"));
    let series =
        targets.iter().enumerate().flat_map(|(index, target)| target.series(&format!("t{index}"), SCRAPE));
    let run =
        Run { promtool: scenario.promtool.clone(), groups, step: 1, interval: 30, series: series.collect() };

    let windows = subject::windows()?;
    let mut lengths = windows.alert_windows();
    // The period is younger than itself: the ratio since birth. An alert window would be withheld.
    lengths.retain(|window| window.as_millis() / 1000 + 20 * MINUTE <= scenario.seconds);
    lengths.push(windows.period);
    let direct = |window: PromDuration| -> Result<String> {
        // Quoted from the generated 5m rule, so that it is the very query under test.
        let record = "slo:sli_error:ratio_rate5m";
        let rule = sloth.iter().flat_map(|group| &group.rules).find(|rule| rule.name == record);
        Ok(rule.context("no 5m rule")?.expr.replace("[5m]", &format!("[{window}]")))
    };
    let recorded = |window: PromDuration| {
        let name = format!("slo:sli_error:ratio_rate{window}");
        sloth
            .iter()
            .flat_map(|group| &group.rules)
            .find(|rule| rule.name == name)
            .map(|rule| rule.expr.clone())
    };
    let mut probes = Vec::new();
    let mut wanted = Vec::new();
    for window in &lengths {
        let seconds = window.as_millis() / 1000;
        let first = if seconds > scenario.seconds { scenario.seconds / 2 } else { seconds + 10 * MINUTE };
        for moment in moments(scenario, first) {
            let at = moment;
            let lean = format!("slo:sli_error:ratio_rate{window}{{sloth_service=\"lean\"}}");
            let exprs = [lean, direct(*window)?, recorded(*window).context("no rule")?];
            probes.extend(exprs.map(|expr| Probe { expr: expr.trim().replace('\n', " "), at }));
            wanted.push((*window, truth(&targets, at, seconds, SCRAPE)));
        }
    }
    let values = run.read(&probes)?;
    let mut rows: Vec<Row> = Vec::new();
    for (value, (window, (good, bad))) in values.chunks_exact(3).zip(wanted) {
        if rows.last().is_none_or(|row| row.window != window) {
            let none = Deviation::default();
            rows.push(Row { window, lean: none, direct: none, sloth: none });
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of events")]
        let truth = bad as f64 / (good + bad) as f64;
        if let (Some(row), [lean, direct, sloth]) = (rows.last_mut(), value)
            && bad > 0
        {
            row.lean.add(*lean, truth);
            row.direct.add(*direct, truth);
            row.sloth.add(*sloth, truth);
        }
    }
    Ok(rows)
}

/// Evaluations to look at, spread over what is left after `first`, at all ten phases of the base.
fn moments(scenario: &Scenario, first: u64) -> impl Iterator<Item = u64> {
    let (count, last) = (scenario.moments, scenario.seconds - 60);
    let room = last.saturating_sub(first);
    (0..count).map(move |index| {
        let second = first + room * index / count.max(1) + index % 10 * 30;
        second.min(last) / 30 * 30
    })
}

/// The scenarios of the document.
#[must_use]
pub fn scenarios(promtool: &Path, promtool3: Option<&Path>, quick: bool) -> Vec<Scenario> {
    let seconds = if quick { 8 * HOUR } else { 84 * HOUR };
    let one = |name: &str, promtool: &Path, aligned: bool, gaps: bool| Scenario {
        name: name.to_owned(),
        promtool: promtool.to_owned(),
        seconds,
        aligned,
        gaps,
        moments: if quick { 20 } else { 40 },
        seeds: match (quick, gaps) {
            (false, true) => (7..13).collect(),
            (false, false) => vec![3, 4],
            (true, _) => vec![3],
        },
    };
    let mut list = vec![
        one("no gaps, scrapes not aligned with evaluations", promtool, false, false),
        one("gaps and resets, scrapes not aligned", promtool, false, true),
        one("no gaps, every scrape exactly on an evaluation", promtool, true, false),
    ];
    if let Some(newer) = promtool3 {
        list.push(one("no gaps, scrapes not aligned", newer, false, false));
        list.push(one("no gaps, every scrape exactly on an evaluation", newer, true, false));
    }
    list
}

/// Largest mean deviation that is allowed for profile `lean`.
#[must_use]
pub const fn goal(scenario: &Scenario) -> f64 {
    if scenario.gaps { 0.03 } else { 0.001 }
}
