//! `slo-engine explain`: what an SLO promises, when its alerts fire and what its rules cost.

mod table;

use std::process::ExitCode;

use anyhow::bail;
use clap::ValueEnum;
use daemon_kit::cli::UsageError;
use daemon_kit::diagnostic::{self, Format, Level};
use serde_json::{Value, json};
use slo_engine_core::explain::{self, Budget, Cost, Detection, ERROR_RATES, Pair};
use slo_engine_core::profile::lean::{self, LeanOptions};
use slo_engine_core::profile::sloth;
use slo_engine_core::{Field, Finding, PeriodWindows, Sli, Slo, number};

use crate::app::Io;
use crate::cli::InputArgs;
use crate::specs;
use table::Table;

/// Flags of `explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    slo-engine explain -i slo.yaml\n  \
    slo-engine explain -i slos/ myservice-requests-availability --events-per-day 1000000\n  \
    slo-engine explain -i slos/ myservice/requests-availability --output json")]
pub struct Args {
    /// Only this SLO: its id, or SERVICE/NAME
    pub slo: Option<String>,
    /// Traffic, to show the budget in events
    #[arg(long, value_name = "N", value_parser = parse_events)]
    pub events_per_day: Option<f64>,
    /// Who reads it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputArg::Text)]
    pub output: OutputArg,
    /// Where specs come from.
    #[command(flatten)]
    pub input: InputArgs,
}

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputArg {
    /// People.
    Text,
    /// Scripts: one JSON object.
    Json,
}

/// All there is to say about one SLO.
struct Explained<'a> {
    slo: &'a Slo,
    budget: Budget,
    pairs: Vec<Pair>,
    /// Each query, and why it is not counted when it is not.
    queries: Vec<(&'static str, Option<String>)>,
    costs: [(&'static str, Cost); 2],
}

/// Explains SLOs.
///
/// # Errors
/// Specs that cannot be read, or no such SLO.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let catalogue = specs::catalogue(&args.input, io)?;
    let read = specs::read(&args.input, false, io)?;
    let color = io.color_err;
    for diagnostic in read.loaded.diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error) {
        diagnostic::write(io.stderr, diagnostic, Format::Text { color })?;
    }
    let wanted = |slo: &Slo| match args.slo.as_deref() {
        None => true,
        Some(name) => slo.id == name || name.split_once('/') == Some((&slo.service, &slo.name)),
    };
    let mut explained = Vec::new();
    for slo in read.loaded.slos.iter().map(|located| &located.slo).filter(|slo| wanted(slo)) {
        explained.push(explain_one(slo, &specs::windows(&catalogue, slo)?, args.events_per_day));
    }
    match (&args.slo, explained.is_empty()) {
        (Some(name), true) => {
            let known: Vec<_> =
                read.loaded.slos.iter().map(|located| located.slo.id.as_str()).take(10).collect();
            let known = match known.as_slice() {
                [] => "none could be read".to_owned(),
                known => format!("there are: {}", known.join(", ")),
            };
            return Err(UsageError(format!("there is no SLO `{name}`; {known}")).into());
        }
        (None, true) => bail!("there is no SLO in {}", args.input.input.display()),
        _ => {}
    }
    match args.output {
        OutputArg::Json => {
            let slos: Vec<Value> = explained.iter().map(object).collect();
            writeln!(io.stdout, "{:#}", json!({ "slos": slos }))?;
        }
        OutputArg::Text => {
            for (index, one) in explained.iter().enumerate() {
                writeln!(io.stdout, "{}{}", if index > 0 { "\n" } else { "" }, text(one).trim_end())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn explain_one<'a>(slo: &'a Slo, windows: &PeriodWindows, events_per_day: Option<f64>) -> Explained<'a> {
    let (lean, findings) = lean::rules(slo, windows, &LeanOptions::default());
    let options = sloth::Options { version: String::new(), disable_recordings: false, disable_alerts: false };
    let sloth = sloth::rules(slo, windows, &options).unwrap_or_default();
    Explained {
        slo,
        budget: explain::budget(slo, events_per_day),
        pairs: explain::pairs(slo, windows),
        queries: queries(slo, &findings),
        costs: [("lean", explain::cost(&lean)), ("sloth", explain::cost(&sloth))],
    }
}

/// The queries with what profile lean says about them. One that cannot be counted takes the other with it.
fn queries(slo: &Slo, findings: &[Finding]) -> Vec<(&'static str, Option<String>)> {
    let mut fields = match &slo.sli {
        Sli::Events { .. } => vec![("error query", Field::ErrorQuery), ("total query", Field::TotalQuery)],
        Sli::GoodTotal { .. } => vec![("good query", Field::GoodQuery), ("total query", Field::TotalQuery)],
        Sli::Raw { .. } => vec![("error ratio query", Field::RatioQuery)],
    };
    if slo.own.weight_query.is_some() {
        fields.push(("weight query", Field::WeightQuery));
    }
    let said = |field: &Field| {
        let mut said = findings.iter().filter(|finding| finding.code == "not-counted");
        said.find(|finding| finding.field == *field).map(|finding| finding.message.clone())
    };
    let any = fields.iter().any(|(_, field)| said(field).is_some());
    let other = || any.then(|| "computed directly over each window, as the other query is".to_owned());
    fields.into_iter().map(|(name, field)| (name, said(&field).or_else(other))).collect()
}

fn text(one: &Explained<'_>) -> String {
    let Explained { slo, budget, pairs, queries, costs } = one;
    let mut out = format!("{}: {} % over {}\n", slo.id, number::plain(slo.objective), slo.period);
    out.push_str(&format!(
        "  error budget: {} of the events, or {} of full outage",
        percent(budget.ratio),
        duration(budget.seconds)
    ));
    if let Some(events) = budget.events {
        out.push_str(&format!(", or {events:.0} events"));
    }
    out.push_str("\n\n");
    if pairs.is_empty() {
        out.push_str("  no alerts: both are disabled\n");
    } else {
        let rates = ERROR_RATES.map(|rate| format!("{} errors", percent(rate)));
        let mut table = Table::new(&[
            "alert",
            "windows",
            "factor",
            "threshold",
            "budget",
            &rates[0],
            &rates[1],
            &rates[2],
        ]);
        for pair in pairs {
            let mut row = vec![
                pair.name.to_owned(),
                format!("{} and {}", pair.windows.short, pair.windows.long),
                rounded(pair.factor),
                percent(pair.threshold),
                format!("{} %", rounded(pair.windows.error_budget_percent)),
            ];
            row.extend(pair.detection.iter().map(|detection| match detection {
                Detection::Never => "never".to_owned(),
                Detection::After { fires, resets, .. } => {
                    format!("{}, resets {}", duration(*fires), duration(*resets))
                }
            }));
            table.row(row);
        }
        out.push_str(&table.render("  "));
        out.push_str(
            "  An alert fires after the time shown at a constant share of errors, and resets so long after the errors end.\n",
        );
    }
    out.push_str("\n  queries in profile lean\n");
    for (name, reason) in queries {
        let how = reason.as_deref().unwrap_or("counted once per base window");
        out.push_str(&format!("    {name}: {how}\n"));
    }
    out.push('\n');
    let mut table = Table::new(&[
        "rules of profile",
        "groups",
        "records",
        "alerts",
        "selectors",
        "raw history read per series",
    ]);
    for (profile, cost) in costs {
        table.row(vec![
            (*profile).to_owned(),
            cost.groups.to_string(),
            cost.records.to_string(),
            cost.alerts.to_string(),
            cost.selectors.to_string(),
            duration(cost.raw_seconds),
        ]);
    }
    out.push_str(&table.render("  "));
    out
}

fn object(one: &Explained<'_>) -> Value {
    let Explained { slo, budget, pairs, queries, costs } = one;
    let pairs = pairs.iter().map(|pair| {
        let detection = ERROR_RATES.iter().zip(pair.detection).map(|(rate, detection)| match detection {
            Detection::Never => json!({ "error_ratio": rate, "fires_after_seconds": null }),
            Detection::After { fires, resets, budget } => json!({
                "error_ratio": rate,
                "fires_after_seconds": fires,
                "resets_after_seconds": resets,
                "budget_spent_ratio": budget,
            }),
        });
        json!({
            "name": pair.name,
            "short_window": pair.windows.short.to_string(),
            "long_window": pair.windows.long.to_string(),
            "error_budget_percent": pair.windows.error_budget_percent,
            "factor": pair.factor,
            "threshold_ratio": pair.threshold,
            "detection": detection.collect::<Vec<_>>(),
        })
    });
    let queries = queries
        .iter()
        .map(|(name, reason)| json!({ "query": name, "counted": reason.is_none(), "reason": reason }));
    let costs: serde_json::Map<String, Value> = costs
        .iter()
        .map(|(profile, cost)| {
            let value = json!({
                "groups": cost.groups,
                "records": cost.records,
                "alerts": cost.alerts,
                "selectors": cost.selectors,
                "raw_seconds_per_series": cost.raw_seconds,
                "expression_bytes": cost.bytes,
            });
            ((*profile).to_owned(), value)
        })
        .collect();
    json!({
        "slo": slo.id,
        "service": slo.service,
        "name": slo.name,
        "objective_percent": slo.objective,
        "period": slo.period.to_string(),
        "budget": { "ratio": budget.ratio, "seconds": budget.seconds, "events": budget.events },
        "alerts": pairs.collect::<Vec<_>>(),
        "queries": queries.collect::<Vec<_>>(),
        "cost": costs,
    })
}

/// Four significant digits: the noise of binary fractions is not worth reading.
fn rounded(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return number::plain(value);
    }
    #[allow(clippy::cast_possible_truncation, reason = "an exponent of ten is between -324 and 308")]
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 12);
    let text = format!("{value:.*}", usize::try_from(digits).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn percent(ratio: f64) -> String {
    format!("{} %", rounded(ratio * 100.0))
}

/// Days to seconds, the two largest units that are not zero; below ten seconds with one decimal.
fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{} s", rounded((seconds * 10.0).round() / 10.0));
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and saturating"
    )]
    let mut rest = seconds.round() as u64;
    let mut parts = Vec::new();
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)] {
        if rest >= size && parts.len() < 2 {
            parts.push(format!("{} {unit}", rest / size));
        } else if !parts.is_empty() {
            break;
        }
        rest %= size;
    }
    parts.join(" ")
}

fn parse_events(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(events) if events.is_finite() && events > 0.0 => Ok(events),
        _ => Err("expected a number above zero".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_percentages_are_short() {
        for (seconds, shown) in [
            (0.0, "0 s"),
            (0.5184, "0.5 s"),
            (51.84, "52 s"),
            (2592.0, "43 min 12 s"),
            (3600.0, "1 h"),
            (3601.0, "1 h"),
            (90_000.0, "1 d 1 h"),
            (9.96, "10 s"),
        ] {
            assert_eq!(duration(seconds), shown, "{seconds}");
        }
        for (ratio, shown) in [
            (0.0014399999999, "0.144 %"),
            (0.0, "0 %"),
            (1.0, "100 %"),
            (0.000_010_000_000_000_047, "0.001 %"),
        ] {
            assert_eq!(percent(ratio), shown, "{ratio}");
        }
        assert_eq!(rounded(5.600_000_000_000_000_5), "5.6");
        assert_eq!(rounded(12_345.6), "12346");
    }
}
