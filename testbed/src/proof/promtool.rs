//! Reads recorded values back from `promtool test rules`: an expectation of nothing fails, and the failure prints what
//! there was, in full precision.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::json;
use slo_engine_core::RuleGroup;

use super::subject::write_rules;
use crate::files;

/// One input series.
#[derive(Clone, Debug)]
pub struct Series {
    /// Selector text.
    pub name: String,
    /// Values in promtool's notation.
    pub values: String,
}

/// A run of rules over series.
#[derive(Clone, Debug)]
pub struct Run {
    /// Binary.
    pub promtool: PathBuf,
    /// Rules, all evaluated at every step whatever their interval: promtool knows only one.
    pub groups: Vec<RuleGroup>,
    /// Seconds between two values of a series.
    pub step: u64,
    /// Seconds between evaluations.
    pub interval: u64,
    /// Series.
    pub series: Vec<Series>,
}

/// One value to read: an expression with at most one series in its answer, and when (seconds from the start).
#[derive(Clone, Debug)]
pub struct Probe {
    /// PromQL.
    pub expr: String,
    /// Seconds.
    pub at: u64,
}

impl Run {
    /// What each probe yields; `None` for no series.
    ///
    /// # Errors
    /// When promtool cannot run, refuses the rules, or an answer has several series.
    pub fn read(&self, probes: &[Probe]) -> Result<Vec<Option<f64>>> {
        let folder =
            tempfile::Builder::new().prefix("testbed-promtool-").tempdir().context("make a folder")?;
        write_rules(&folder.path().join("rules.yml"), &self.groups)?;
        let series: Vec<_> = self
            .series
            .iter()
            .map(|series| json!({"series": series.name, "values": series.values}))
            .collect();
        let expectations: Vec<_> = probes
            .iter()
            .enumerate()
            .map(|(index, probe)| {
                json!({"expr": format!("{} # {index}#", probe.expr), "eval_time": format!("{}s", probe.at), "exp_samples": []})
            })
            .collect();
        let order: Vec<_> = self.groups.iter().map(|group| group.name.clone()).collect();
        let test = json!({
            "rule_files": ["rules.yml"],
            "evaluation_interval": format!("{}s", self.interval),
            "group_eval_order": order,
            "tests": [{"interval": format!("{}s", self.step), "input_series": series, "promql_expr_test": expectations}],
        });
        let file = folder.path().join("test.yml");
        files::write(&file, &test.to_string())?;
        let output = run(&self.promtool, &file)?;
        parse(&output, probes.len())
    }
}

/// Standard output and error of the test run; a failed expectation is no failure here.
fn run(promtool: &Path, file: &Path) -> Result<String> {
    let output = Command::new(promtool)
        .args(["test", "rules"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {}", promtool.display()))?;
    Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

fn parse(output: &str, count: usize) -> Result<Vec<Option<f64>>> {
    let mut values = vec![None; count];
    let mut current = None;
    for line in output.lines().map(str::trim) {
        if line.starts_with("expr:") {
            let index = line.rsplit("# ").next().and_then(|rest| rest.split('#').next());
            let index: usize =
                index.and_then(|text| text.parse().ok()).with_context(|| format!("no probe: {line}"))?;
            if line.contains("err:") {
                bail!("{line}");
            }
            current = Some(index);
        } else if let Some(got) = line.strip_prefix("got:") {
            let value = got.rsplit(' ').next().unwrap_or_default();
            let value: f64 = value.parse().with_context(|| format!("no number in promtool's {line}"))?;
            let slot =
                current.take().and_then(|index| values.get_mut(index)).context("an answer without probe")?;
            *slot = Some(value);
        } else if line.starts_with("err:") || line.contains("error") {
            bail!("promtool: {output}");
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_values_in_any_order_and_absence() {
        let output = "  FAILED:\n    expr: \"x # 2#\", time: 1m5s,\n        exp: nil\n        got: {a=\"b\"} 3.0864197253E+00\n\
                      \n    expr: \"y # 0#\", time: 5s,\n        exp: nil\n        got: {} NaN\n";
        let values = parse(output, 3).unwrap();
        assert!(values[0].unwrap().is_nan());
        assert_eq!(values[1..], [None, Some(3.0864197253)]);
    }
}
