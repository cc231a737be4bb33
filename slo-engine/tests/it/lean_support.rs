//! SLOs by value, rule groups as files, and the real promtool as calculator.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use slo_engine_core::profile::lean::{LeanOptions, rules};
use slo_engine_core::{
    AlertMeta, AlertWindow, Finding, OwnKeys, PeriodWindows, PromDuration, Query, RuleGroup, RuleKind, Sli,
    Slo, SpecKind, WindowPair,
};

pub(crate) fn secs(s: u64) -> PromDuration {
    PromDuration::from_secs(s)
}

/// Sloth's windows of 30 days.
pub(crate) fn month() -> PeriodWindows {
    let window = |percent, short: u64, long: u64| AlertWindow {
        error_budget_percent: percent,
        short: secs(short * 60),
        long: secs(long * 3600),
    };
    PeriodWindows {
        period: PromDuration::from_days(30),
        page: WindowPair { quick: window(2.0, 5, 1), slow: window(5.0, 30, 6) },
        ticket: WindowPair { quick: window(10.0, 120, 24), slow: window(10.0, 360, 72) },
    }
}

pub(crate) fn events(error: &str, total: &str) -> Sli {
    Sli::Events { error: Query(error.to_owned()), total: Query(total.to_owned()) }
}

/// The usual shop: errors and total are sums of rates.
pub(crate) fn shop() -> Slo {
    let alert = AlertMeta { name: "ShopErrors".to_owned(), ..AlertMeta::default() };
    Slo {
        id: "shop-orders".to_owned(),
        name: "orders".to_owned(),
        service: "shop".to_owned(),
        description: String::new(),
        objective: 99.9,
        period: PromDuration::from_days(30),
        labels: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
        sli: events("sum(rate(bad_total[{{.window}}]))", "sum(rate(all_total[{{.window}}]))"),
        page: Some(alert.clone()),
        ticket: Some(alert),
        spec: SpecKind::PrometheusV1,
        own: OwnKeys::default(),
    }
}

/// A copy under another name.
pub(crate) fn named(slo: &Slo, name: &str) -> Slo {
    Slo { id: format!("{}-{name}", slo.service), name: name.to_owned(), ..slo.clone() }
}

/// Every way an SLI is counted.
pub(crate) fn kinds() -> Vec<Slo> {
    let query = |text: &str| Query(text.to_owned());
    let bad = "sum(rate(bad_total[{{.window}}]))";
    let good = "sum(rate(good_total[{{.window}}]))";
    let all = "sum(rate(all_total[{{.window}}]))";
    let ratio = format!("{bad} / {all}");
    let kinds = [
        ("additive", events(bad, all), None),
        ("good", Sli::GoodTotal { good: query(good), total: query(all) }, None),
        ("direct", events(&format!("clamp_min({bad}, 0)"), all), None),
        (
            "direct-good",
            Sli::GoodTotal { good: query(&format!("clamp_min({good}, 0)")), total: query(all) },
            None,
        ),
        ("raw", Sli::Raw { error_ratio: query(&ratio) }, None),
        ("weighted", Sli::Raw { error_ratio: query(&ratio) }, Some(query(all))),
    ];
    kinds
        .into_iter()
        .map(|(name, sli, weight_query)| {
            let own = OwnKeys { weight_query, ..OwnKeys::default() };
            named(&Slo { sli, own, ..shop() }, name)
        })
        .collect()
}

pub(crate) fn lean(slo: &Slo) -> (Vec<RuleGroup>, Vec<Finding>) {
    rules(slo, &month(), &LeanOptions::default())
}

/// A rule file; JSON is YAML.
pub(crate) fn rule_file(groups: &[RuleGroup]) -> String {
    let rule = |rule: &slo_engine_core::Rule| {
        let mut map = serde_json::Map::new();
        let kind = if rule.kind == RuleKind::Alert { "alert" } else { "record" };
        map.insert(kind.to_owned(), json!(rule.name));
        map.insert("expr".to_owned(), json!(rule.expr));
        if let Some(hold) = rule.hold {
            map.insert("for".to_owned(), json!(hold.to_string()));
        }
        map.insert("labels".to_owned(), json!(rule.labels));
        if rule.kind == RuleKind::Alert {
            map.insert("annotations".to_owned(), json!(rule.annotations));
        }
        Value::Object(map)
    };
    let groups: Vec<Value> = groups
        .iter()
        .map(|group| {
            json!({
                "name": group.name,
                "interval": group.interval.map_or_else(|| "30s".to_owned(), |i| i.to_string()),
                "rules": group.rules.iter().map(rule).collect::<Vec<_>>(),
            })
        })
        .collect();
    serde_json::to_string_pretty(&json!({ "groups": groups })).unwrap()
}

/// The promtools to try: Debian's, and the one that `PROMTOOL3` names.
pub(crate) fn promtools() -> Vec<String> {
    let mut tools = vec![std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".to_owned())];
    tools.extend(std::env::var("PROMTOOL3").ok());
    tools
}

pub(crate) fn check(groups: &[RuleGroup]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rules.yml");
    write(&path, &rule_file(groups));
    for tool in promtools() {
        let out = Command::new(&tool)
            .args(["check", "rules", "--lint=all", "--lint-fatal"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{tool}: {}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

#[allow(clippy::disallowed_methods, reason = "a scratch file of a test")]
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// One raw series: `name{labels}` and its promtool values (one per 30 s).
pub(crate) type Series = (String, String);

/// What a question was answered at a moment: label text to value.
pub(crate) type Answer = BTreeMap<String, f64>;

/// One world to run the rules in, and what to read from it at which moments (seconds).
pub(crate) struct World {
    pub(crate) series: Vec<Series>,
    pub(crate) questions: Vec<(u64, String)>,
}

/// Runs the rules over the series with the real promtool, scraped and evaluated every `step` seconds, and reads
/// expressions.
pub(crate) fn ask(tool: &str, groups: &[RuleGroup], worlds: &[World], step: u64) -> Vec<Vec<Answer>> {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("rules.yml"), &rule_file(groups));
    // An answer that cannot be right makes promtool print the one it got.
    let tests: Vec<Value> = worlds
        .iter()
        .map(|world| {
            let series: Vec<Value> =
                world.series.iter().map(|(name, values)| json!({"series": name, "values": values})).collect();
            let questions: Vec<Value> = world
                .questions
                .iter()
                .map(|(at, expr)| {
                    json!({"expr": expr, "eval_time": format!("{at}s"),
                           "exp_samples": [{"labels": "{never=\"this\"}", "value": -424_242}]})
                })
                .collect();
            json!({"interval": format!("{step}s"), "input_series": series, "promql_expr_test": questions})
        })
        .collect();
    let file = json!({
        "rule_files": ["rules.yml"],
        "evaluation_interval": format!("{step}s"),
        "group_eval_order": groups.iter().map(|g| g.name.clone()).collect::<Vec<_>>(),
        "tests": tests,
    });
    write(&dir.path().join("test.yml"), &file.to_string());
    let out =
        Command::new(tool).args(["test", "rules", "test.yml"]).current_dir(dir.path()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let mut answers = parse_answers(&text).into_iter();
    let split: Vec<Vec<Answer>> =
        worlds.iter().map(|world| answers.by_ref().take(world.questions.len()).collect()).collect();
    let complete = split.iter().zip(worlds).all(|(given, world)| given.len() == world.questions.len());
    assert!(
        complete && answers.next().is_none(),
        "{tool} said to {:?}:\n{}",
        worlds.iter().map(|w| &w.series).collect::<Vec<_>>(),
        &text[..text.len().min(4000)]
    );
    split
}

fn parse_answers(text: &str) -> Vec<Answer> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("got:"))
        .map(|got| {
            let mut rest = got.trim();
            if rest == "nil" {
                return Answer::new();
            }
            rest = rest.strip_prefix('"').and_then(|r| r.strip_suffix('"')).unwrap_or(rest);
            split_samples(rest)
        })
        .collect()
}

/// `{a=\"b\"} 1E+00, {..} 2E+00`
fn split_samples(text: &str) -> Answer {
    let text = text.replace("\\\"", "\"");
    let mut answer = Answer::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find('{') {
        let (metric, tail) = rest.split_at(start);
        let mut quoted = false;
        let mut end = 0;
        for (index, byte) in tail.bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b'}' if !quoted => {
                    end = index;
                    break;
                }
                _ => {}
            }
        }
        let labels = &tail[..=end];
        let after = tail[end + 1..].trim_start();
        let value_end = after.find(',').unwrap_or(after.len());
        let value = after[..value_end].trim();
        let mut key = metric.trim_start_matches([',', ' ']).to_owned();
        let _infallible = write!(key, "{labels}");
        answer.insert(key, value.parse().unwrap_or(f64::NAN));
        rest = after[value_end..].trim_start_matches([',', ' ']);
    }
    answer
}
