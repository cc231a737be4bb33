//! The truth table of `docs/lean.md`: what every record and alert is in every state of the world, by the real promtool.
//!
//! `UPDATE_GOLDEN=1 cargo test -p slo-engine --test it lean_truth` writes the table.

use std::fmt::Write as _;
use std::path::Path;

use slo_engine_core::profile::lean::{LeanOptions, rules};
use slo_engine_core::{AlertWindow, NoData, PeriodWindows, RuleGroup, Slo, WindowPair};

use crate::lean_support::{Answer, Series, World, ask, kinds, named, promtools, secs, write};

const STEP: u64 = 60;
/// Moment of the table, in minutes: the period is over.
const NOW: usize = 140;
const BEGIN: &str =
    "<!-- truth table: begin (UPDATE_GOLDEN=1 cargo test -p slo-engine --test it lean_truth) -->\n";
const END: &str = "<!-- truth table: end -->";

/// A short period, so that every window is full: burn rate factors 14.4, 6, 3 and 1 as in 30 days.
fn two_hours() -> PeriodWindows {
    let window = |percent, short: u64, long: u64| AlertWindow {
        error_budget_percent: percent,
        short: secs(short * 60),
        long: secs(long * 60),
    };
    PeriodWindows {
        period: secs(2 * 3600),
        page: WindowPair { quick: window(180.0, 5, 15), slow: window(150.0, 10, 30) },
        ticket: WindowPair { quick: window(100.0, 20, 40), slow: window(50.0, 30, 60) },
    }
}

struct State {
    title: &'static str,
    series: Vec<Series>,
    /// Minutes after the start.
    at: usize,
    variants: Vec<(&'static str, Slo)>,
}

/// Values of one counter: pieces of so many minutes, each growing so much per minute (`None`: not scraped).
fn counter(pieces: &[(usize, Option<u32>)]) -> String {
    let mut value = 0;
    let mut out = Vec::new();
    for (minutes, step) in pieces {
        for _ in 0..*minutes {
            match step {
                None => out.push("_".to_owned()),
                Some(step) => {
                    value += step;
                    out.push(value.to_string());
                }
            }
        }
    }
    // A scrape that fails ends the series at once.
    let mut seen = false;
    for value in &mut out {
        if value == "_" && seen {
            "stale".clone_into(value);
            seen = false;
        } else if value != "_" {
            seen = true;
        }
    }
    out.join(" ")
}

fn shop_series(all: String, bad: Option<String>, good: Option<String>) -> Vec<Series> {
    [("all_total", Some(all)), ("bad_total", bad), ("good_total", good)]
        .into_iter()
        .filter_map(|(name, values)| values.map(|values| (format!("{name}{{i=\"1\"}}"), values)))
        .collect()
}

/// All, bad and good events per minute, piece by piece.
fn traffic(pieces: &[(usize, Option<(u32, u32)>)]) -> Vec<Series> {
    let part = |pick: fn(u32, u32) -> u32| {
        counter(&pieces.iter().map(|(m, p)| (*m, p.map(|(all, bad)| pick(all, bad)))).collect::<Vec<_>>())
    };
    shop_series(part(|all, _| all), Some(part(|_, bad| bad)), Some(part(|all, bad| all - bad)))
}

fn usual() -> Vec<(&'static str, Slo)> {
    let names = ["additive", "good", "direct", "raw", "weighted"];
    let all = kinds();
    names
        .into_iter()
        .filter_map(|n| all.iter().find(|slo| slo.name == n).map(|slo| (n, slo.clone())))
        .collect()
}

fn changed(change: impl Fn(&mut Slo), suffix: &str) -> Vec<(&'static str, Slo)> {
    usual()
        .into_iter()
        .map(|(title, slo)| {
            let mut slo = named(&slo, &format!("{}-{suffix}", slo.name));
            change(&mut slo);
            (title, slo)
        })
        .collect()
}

fn state(title: &'static str, series: Vec<Series>) -> State {
    State { title, series, at: NOW, variants: usual() }
}

fn states() -> Vec<State> {
    let full = Some((600, 12));
    let not_a_number = |step: u32, what: &str| {
        let mut values = counter(&[(100, Some(step))]);
        for _ in 0..45 {
            let _infallible = write!(values, " {what}");
        }
        values
    };
    let all = || counter(&[(150, Some(600))]);
    let mut list = vec![
        state(
            "Errors: 2 % of the events are bad, twice what the objective of 99 % allows",
            traffic(&[(150, full)]),
        ),
        state(
            "Outage: half of the events are bad since 20 minutes",
            traffic(&[(120, Some((600, 0))), (30, Some((600, 300)))]),
        ),
        state("Healthy: the error series exist and stand still", traffic(&[(150, Some((600, 0)))])),
        state("Healthy: the error series do not exist", shop_series(all(), None, Some(all()))),
        state("No success: the good series do not exist", shop_series(all(), Some(all()), None)),
        state(
            "Idle: no events for 40 minutes, 2 % errors before (`no_data: ignore`)",
            traffic(&[(100, full), (50, Some((0, 0)))]),
        ),
        state("Idle from the first day (`no_data: ignore`)", traffic(&[(150, Some((0, 0)))])),
        state("Targets down for 3 minutes, 2 % errors before", traffic(&[(137, full), (13, None)])),
        state("Targets down for 40 minutes, 2 % errors before", traffic(&[(100, full), (50, None)])),
        state(
            "Targets were down for 20 minutes and are back since 30",
            traffic(&[(90, full), (20, None), (40, full)]),
        ),
        state("The series never existed", Vec::new()),
        state(
            "The error counter is NaN for 40 minutes",
            shop_series(all(), Some(not_a_number(12, "NaN")), Some(not_a_number(588, "NaN"))),
        ),
        state(
            "All counters are infinite for 40 minutes",
            shop_series(
                not_a_number(600, "Inf"),
                Some(not_a_number(12, "Inf")),
                Some(not_a_number(588, "Inf")),
            ),
        ),
        state(
            "More good than all events: the error query is negative",
            shop_series(all(), Some(counter(&[(150, Some(0))])), Some(counter(&[(150, Some(700))]))),
        ),
        state(
            "Restart: all counters began anew 10 minutes ago",
            reset(traffic(&[(130, full)]), &traffic(&[(20, full)])),
        ),
        State {
            at: 12,
            ..state("Young: the series and the rules are 12 minutes old, 2 % errors", traffic(&[(150, full)]))
        },
    ];
    let idle = || traffic(&[(100, full), (50, Some((0, 0)))]);
    for (title, no_data, name) in [
        ("Idle: no events for 40 minutes, 2 % errors before, `no_data: good`", NoData::Good, "idle-good"),
        ("Idle: no events for 40 minutes, 2 % errors before, `no_data: bad`", NoData::Bad, "idle-bad"),
    ] {
        list.push(State { variants: changed(|slo| slo.own.no_data = no_data, name), ..state(title, idle()) });
    }
    let perfect = || changed(|slo| slo.objective = 100.0, "perfect");
    list.push(State {
        variants: perfect(),
        ..state(
            "Objective 100, one bad event 8 minutes ago",
            traffic(&[(132, Some((600, 0))), (1, Some((600, 1))), (17, Some((600, 0)))]),
        )
    });
    list.push(State {
        variants: perfect(),
        ..state("Objective 100, no errors", traffic(&[(150, Some((600, 0)))]))
    });
    list
}

fn reset(before: Vec<Series>, after: &[Series]) -> Vec<Series> {
    before.into_iter().zip(after).map(|((name, a), (_, b))| (name, format!("{a} {b}"))).collect()
}

fn groups_of(slo: &Slo) -> Vec<RuleGroup> {
    let mut slo = slo.clone();
    if slo.objective < 100.0 {
        slo.objective = 99.0;
    }
    let options =
        LeanOptions { interval: Some(secs(STEP)), scrape_interval: secs(STEP), ..LeanOptions::default() };
    rules(&slo, &two_hours(), &options).0
}

/// Title, and the metric and labels that a row shows.
type Row = (String, String, Vec<(&'static str, String)>);

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |title: &str, metric: &str, labels: &[(&'static str, &str)]| {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        rows.push((title.to_owned(), metric.to_owned(), labels));
    };
    for event in ["total", "error", "covered", "observed"] {
        row(
            &format!("`sli_events:increase5m` {event}"),
            "slo:sli_events:increase5m",
            &[("sloth_event", event)],
        );
    }
    row("`sli_direct:total` 5m", "slo:sli_direct:total", &[("sloth_window", "5m")]);
    for event in ["total", "error", "covered"] {
        row(&format!("`sli_events:tally` {event}"), "slo:sli_events:tally", &[("sloth_event", event)]);
    }
    for window in ["30m", "2h"] {
        for event in ["total", "error", "covered"] {
            row(
                &format!("`sli_events:window` {window} {event}"),
                "slo:sli_events:window",
                &[("sloth_window", window), ("sloth_event", event)],
            );
        }
    }
    for window in ["5m", "10m", "15m", "20m", "30m", "40m", "1h", "2h"] {
        row(&format!("`sli_error:ratio_rate` {window}"), &format!("slo:sli_error:ratio_rate{window}"), &[]);
    }
    for (title, metric) in [
        ("`current_burn_rate:ratio`", "slo:current_burn_rate:ratio"),
        ("`period_burn_rate:ratio`", "slo:period_burn_rate:ratio"),
        ("`period_error_budget_remaining:ratio`", "slo:period_error_budget_remaining:ratio"),
    ] {
        row(title, metric, &[]);
    }
    row("page", "ALERTS", &[("sloth_severity", "page")]);
    row("ticket", "ALERTS", &[("sloth_severity", "ticket"), ("alertname", "ShopErrors")]);
    row("missing data", "ALERTS", &[("alertname", "SLOMissingData")]);
    rows
}

fn find(answer: &Answer, slo: &Slo, metric: &str, labels: &[(&str, String)]) -> String {
    let wanted: Vec<String> = [("sloth_id", slo.id.clone())]
        .into_iter()
        .chain(labels.iter().cloned())
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    let hits: Vec<(&String, &f64)> = answer
        .iter()
        .filter(|(key, _)| {
            key.contains(&format!("__name__=\"{metric}\"")) || key.starts_with(&format!("{metric}{{"))
        })
        .filter(|(key, _)| wanted.iter().all(|label| key.contains(label)))
        .collect();
    match hits.as_slice() {
        [] => "–".to_owned(),
        [(key, _)] if metric == "ALERTS" => {
            if key.contains("\"firing\"") { "firing" } else { "pending" }.to_owned()
        }
        [(_, value)] => shown(**value),
        more => panic!("{metric} of {} is not one series: {more:?}", slo.id),
    }
}

/// Four significant digits.
fn shown(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = (3.0 - value.abs().log10().floor()).max(0.0);
    let scale = 10_f64.powf(digits);
    let rounded = (value * scale).round() / scale;
    // No minus before a zero.
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}

/// The states and what promtool says of each, two at a time.
fn table(tool: &str) -> String {
    let states = states();
    let (first, second) = states.split_at(states.len() / 2);
    let walk = |part: &[State]| part.iter().map(|state| walked(tool, state)).collect::<String>();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| walk(second));
        walk(first) + &other.join().unwrap()
    })
}

/// One state with the rules it shows: others would only cost time.
fn walked(tool: &str, state: &State) -> String {
    let groups: Vec<RuleGroup> = state.variants.iter().flat_map(|(_, slo)| groups_of(slo)).collect();
    let at = u64::try_from(state.at).unwrap();
    let mut questions = vec![(at * STEP, r#"{__name__=~"slo:.*|sloth_slo_info|ALERTS"}"#.to_owned())];
    questions.extend((1..=at / 10).map(|k| (k * 10 * STEP, r#"{__name__=~"slo:.*"}"#.to_owned())));
    let mut answers =
        ask(tool, &groups, &[World { series: state.series.clone(), questions }], STEP).remove(0);
    for answer in &answers {
        let odd: Vec<_> = answer.iter().filter(|(_, value)| !value.is_finite()).collect();
        assert!(odd.is_empty(), "{}: {odd:?}", state.title);
    }
    let now = answers.remove(0);
    for (_, slo) in &state.variants {
        for metric in
            ["slo:objective:ratio", "slo:error_budget:ratio", "slo:time_period:days", "sloth_slo_info"]
        {
            assert_ne!(find(&now, slo, metric, &[]), "–", "{} has no {metric}", slo.id);
        }
    }
    state_table(state, &now)
}

fn state_table(state: &State, now: &Answer) -> String {
    let titles: Vec<&str> = state.variants.iter().map(|(title, _)| *title).collect();
    let mut text = format!(
        "\n### {}\n\n| | {} |\n|---|{}\n",
        state.title,
        titles.join(" | "),
        "---|".repeat(titles.len())
    );
    let mut lines: Vec<(String, String)> = Vec::new();
    for (title, metric, labels) in rows() {
        let cells: Vec<String> =
            state.variants.iter().map(|(_, slo)| find(now, slo, &metric, &labels)).collect();
        let cells = cells.join(" | ");
        // Windows that say the same share a row.
        match lines.last_mut() {
            Some((last, same))
                if *same == cells && title.starts_with("`sli_error") && last.starts_with("`sli_error") =>
            {
                let window = title.rsplit(' ').next().unwrap_or_default();
                let _infallible = write!(last, ", {window}");
            }
            _ => lines.push((title, cells)),
        }
    }
    for (title, cells) in &lines {
        // Series that only some SLIs have.
        let optional = title.contains("observed") || title.contains("sli_direct");
        if optional && cells.split(" | ").all(|cell| cell == "–") {
            continue;
        }
        let _infallible = writeln!(text, "| {title} | {cells} |");
    }
    text
}

#[test]
fn every_record_and_alert_in_every_state() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lean.md");
    // Debian's promtool for the table: `increase` over a range that is open on the left (Prometheus 3) extrapolates the direct
    // queries, and only these, otherwise.
    for tool in promtools().into_iter().take(1) {
        let text = table(&tool);
        let document = std::fs::read_to_string(&path).unwrap_or_else(|_| format!("{BEGIN}{END}\n"));
        let (head, rest) = document.split_once(BEGIN).expect("docs/lean.md has lost its marker");
        let (old, tail) = rest.split_once(END).expect("docs/lean.md has lost its marker");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            write(&path, &format!("{head}{BEGIN}{text}\n{END}{tail}"));
        } else {
            assert_eq!(text.trim(), old.trim(), "{tool}: the table in docs/lean.md is another");
        }
    }
}
