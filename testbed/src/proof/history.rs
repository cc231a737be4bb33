//! History of an SLO as blocks: raw series over a little more than the longest alert window, and what the rules of both
//! profiles would have recorded in a month.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use slo_engine_core::profile::lean;
use slo_engine_core::{Rule, RuleGroup, RuleKind};

use super::traffic::Random;
use crate::programs;

const HOUR: u64 = 3600;
/// Seconds of recordings: the period and a day.
pub const RECORDED: u64 = 31 * 24 * HOUR;
/// Seconds of raw series: no rule reads them further back than three days (Sloth's period rule reads its own 5m ratios).
pub const RAW: u64 = 73 * HOUR;
const SCRAPE: u64 = 30;
/// Block lengths of a server that compacts and keeps at least a month, in hours, oldest first.
const BLOCKS: [u64; 4] = [54, 18, 6, 2];

/// Codes and their events per second and pod; one series in five is an error.
const CODES: [(&str, f64); 5] = [("200", 20.0), ("201", 3.0), ("302", 1.0), ("404", 1.0), ("500", 0.02)];

/// Raw series of the SLO under test.
#[derive(Clone, Debug)]
pub struct Fleet {
    series: Vec<(String, f64)>,
    counts: Vec<u64>,
    random: Random,
}

impl Fleet {
    /// As many series as asked for, a multiple of five.
    #[must_use]
    pub fn new(series: usize) -> Self {
        let series: Vec<_> = (0..series / CODES.len())
            .flat_map(|pod| {
                CODES.map(|(code, rate)| {
                    let labels = format!(r#"handler="/checkout",pod="shop-{pod:04}",code="{code}""#);
                    (labels, rate)
                })
            })
            .collect();
        let counts = vec![0; series.len()];
        Self { series, counts, random: Random::new(5) }
    }

    /// Lets some seconds pass and hands back the exposition of a scrape.
    pub fn expose(&mut self, seconds: f64) -> String {
        let mut text = String::from("# TYPE http_requests_total counter\n");
        for ((labels, rate), count) in self.series.iter().zip(&mut self.counts) {
            *count += drawn(&mut self.random, rate * seconds);
            text.push_str(&format!("http_requests_total{{{labels}}} {count}\n"));
        }
        text
    }

    fn write(&mut self, out: &mut impl Write, from: u64, to: u64) -> std::io::Result<()> {
        writeln!(out, "# TYPE http_requests counter")?;
        for ((labels, rate), count) in self.series.iter().zip(&mut self.counts) {
            let mut second = from.next_multiple_of(SCRAPE);
            while second < to {
                *count += drawn(&mut self.random, rate * 30.0);
                // Scrapes are not aligned with evaluations.
                writeln!(
                    out,
                    "http_requests_total{{job=\"shop\",instance=\"shop\",{labels}}} {count} {second}.7"
                )?;
                second += SCRAPE;
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are small and not negative"
)]
fn drawn(random: &mut Random, expected: f64) -> u64 {
    (expected * random.between(0.5, 1.5) + random.unit()) as u64
}

/// Writes blocks that end at `end` (Unix seconds).
///
/// # Errors
/// When the disk is full or promtool refuses something.
pub fn write(blocks: &Path, fleet: &mut Fleet, rules: &[RuleGroup], end: u64) -> Result<()> {
    let promtool = programs::promtool()?;
    let start = end - RECORDED;
    for (from, to, hours) in cut(start, end) {
        let file = tempfile::Builder::new()
            .prefix("history-")
            .suffix(".om")
            .tempfile_in(blocks)
            .context("make a file")?;
        {
            let mut out = BufWriter::with_capacity(1 << 20, File::create(file.path())?);
            if to > end - RAW {
                fleet.write(&mut out, from.max(end - RAW), to)?;
            }
            recordings(&mut out, rules, from, to, start)?;
            writeln!(out, "# EOF")?;
            out.flush()?;
        }
        let arguments =
            ["tsdb", "create-blocks-from", "openmetrics", "--quiet"].map(str::to_owned).into_iter().chain([
                format!("--max-block-duration={hours}h"),
                file.path().display().to_string(),
                blocks.display().to_string(),
            ]);
        programs::run(&promtool, arguments)?;
    }
    Ok(())
}

/// Blocks of a compacting server: aligned, long ones first.
fn cut(start: u64, end: u64) -> Vec<(u64, u64, u64)> {
    let mut cuts = Vec::new();
    let mut from = start;
    for hours in BLOCKS {
        let length = hours * HOUR;
        loop {
            let to = (from / length + 1) * length;
            // The newest blocks of a server are short: it compacts three of them once the next one is there.
            if to + length / 2 > end {
                break;
            }
            cuts.push((from, to, hours));
            from = to;
        }
    }
    while from < end {
        let to = ((from / (2 * HOUR) + 1) * 2 * HOUR).min(end);
        cuts.push((from, to, 2));
        from = to;
    }
    cuts
}

fn recordings(out: &mut impl Write, groups: &[RuleGroup], from: u64, to: u64, birth: u64) -> Result<()> {
    // OpenMetrics wants the series of one name together.
    let mut rules: Vec<(&Rule, u64)> = groups
        .iter()
        .flat_map(|group| {
            let interval = group.interval.map_or(SCRAPE, |interval| interval.as_millis() / 1000).max(SCRAPE);
            group.rules.iter().filter(|rule| rule.kind == RuleKind::Record).map(move |rule| (rule, interval))
        })
        .collect();
    rules.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let mut last = "";
    let mut written = std::collections::BTreeSet::new();
    for (rule, interval) in rules {
        if rule.name != last {
            writeln!(out, "# TYPE {} unknown", rule.name)?;
            last = &rule.name;
        }
        for kind in kinds(rule) {
            let mut labels: Vec<String> =
                rule.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            if let Some(kind) = kind {
                labels.push(format!("sloth_event=\"{kind}\""));
            }
            for name in ["sloth_id", "sloth_service", "sloth_slo"] {
                if !rule.labels.contains_key(name) {
                    let value = match name {
                        "sloth_id" => "lean-requests",
                        "sloth_service" => "lean",
                        _ => "requests",
                    };
                    labels.push(format!("{name}=\"{value}\""));
                }
            }
            labels.sort();
            let labels = labels.join(",");
            // Rules that write several windows differ in labels that their expressions give.
            if !written.insert(format!("{}{labels}", rule.name)) {
                continue;
            }
            let mut second = from.next_multiple_of(interval);
            while second < to {
                let value = value(rule, kind, second, birth);
                writeln!(out, "{}{{{labels}}} {value} {second}.1", rule.name)?;
                second += interval;
            }
        }
    }
    Ok(())
}

/// Event series without a fixed kind come in three.
fn kinds(rule: &Rule) -> Vec<Option<&'static str>> {
    let events = rule.name.starts_with("slo:sli_events:");
    if events && rule.name != lean::BORN && !rule.labels.contains_key("sloth_event") {
        vec![Some("total"), Some("error"), Some("covered")]
    } else {
        vec![None]
    }
}

#[expect(clippy::cast_precision_loss, reason = "a month in seconds")]
fn value(rule: &Rule, kind: Option<&str>, second: u64, birth: u64) -> f64 {
    let elapsed = (second - birth) as f64;
    match (rule.name.as_str(), kind) {
        (lean::BORN, _) => birth as f64,
        (lean::TALLY, Some("total")) => elapsed * 200.0,
        (lean::TALLY, Some("error")) => elapsed * 0.1,
        (lean::TALLY, _) => elapsed,
        // Never the same twice, as real ratios: constant ones would compress to nothing.
        _ => 0.0005 + (second % 1009) as f64 * 1e-7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_each_other_and_get_shorter() {
        let end = 1_795_489_890;
        let cuts = cut(end - RECORDED, end);
        assert_eq!(cuts.first().unwrap().0, end - RECORDED);
        assert_eq!(cuts.last().unwrap().1, end);
        for pair in cuts.windows(2) {
            assert_eq!(pair[0].1, pair[1].0);
            assert!(pair[0].2 >= pair[1].2);
        }
        for (from, to, hours) in cuts {
            assert!(
                from / (hours * HOUR) == (to - 1) / (hours * HOUR),
                "a block must not cross its boundary"
            );
        }
    }
}
