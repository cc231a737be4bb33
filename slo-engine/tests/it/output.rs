//! What is written reads back as what was meant, whoever reads it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use slo_engine::output::{Assembler, Header, Section};
use slo_engine_core::{PromDuration, Rule, RuleGroup, RuleKind};

/// Rule files as Prometheus defines them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    groups: Vec<FileGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileGroup {
    name: String,
    interval: Option<String>,
    rules: Vec<FileRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    r#for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn written(groups: &[RuleGroup]) -> String {
    let mut out = Assembler::new(Vec::new(), Header { version: "0", profile: "sloth" }, None);
    out.begin(&Section::Groups).unwrap();
    for group in groups {
        out.group(&group.name, &Section::Groups.render(group)).unwrap();
    }
    String::from_utf8(out.finish().unwrap().0).unwrap()
}

fn read(text: &str) -> Vec<RuleGroup> {
    let file: File = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let duration = |text: String| PromDuration::parse(&text).unwrap();
    let rule = |rule: FileRule| Rule {
        kind: if rule.record.is_some() { RuleKind::Record } else { RuleKind::Alert },
        name: rule.record.or(rule.alert).unwrap(),
        expr: rule.expr,
        hold: rule.r#for.map(duration),
        labels: rule.labels,
        annotations: rule.annotations,
    };
    file.groups
        .into_iter()
        .map(|group| RuleGroup {
            name: group.name,
            interval: group.interval.map(duration),
            rules: group.rules.into_iter().map(rule).collect(),
        })
        .collect()
}

/// Texts with a liking for what YAML misreads.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::string::string_regex("[a-zA-Z0-9_.:/-]{1,12}").unwrap(),
        2 => proptest::string::string_regex("[ \\n\\t#:,{}\\[\\]&*!|>'\"%@`?=~<+-]{1,3}").unwrap(),
        2 => proptest::sample::select(vec![
            "yes", "No", "on", "y", "null", "~", "0x1F", "0o17", "010", "1_000", "1e3", "12:30:45", "2001-12-14", ".inf", "-.INF",
            ".nan", "=", "<<", "---", "...", "- ", ": ", " #", "{{$labels.x}}", "%YAML", "\r\n", "\r", "\u{feff}", "\u{85}",
            "\u{2028}", "\u{a0}", "é", "日本", "😀", "\u{0}", "\u{7f}", "\\", "\n  ", "  \n", "\n\n", "5m", "1h30m",
        ])
        .prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn rule() -> impl Strategy<Value = Rule> {
    let map = || proptest::collection::btree_map(text(), text(), 0..4);
    (any::<bool>(), text(), text(), proptest::option::of(0_u64..1 << 40), map(), map()).prop_map(
        |(alert, name, expr, hold, labels, annotations)| Rule {
            kind: if alert { RuleKind::Alert } else { RuleKind::Record },
            name,
            expr,
            hold: hold.map(PromDuration::from_millis),
            labels,
            annotations,
        },
    )
}

fn groups() -> impl Strategy<Value = Vec<RuleGroup>> {
    let group = (text(), proptest::option::of(1_u64..1 << 30), proptest::collection::vec(rule(), 1..4));
    let group = group.prop_map(|(name, interval, rules)| RuleGroup {
        name,
        interval: interval.map(PromDuration::from_millis),
        rules,
    });
    proptest::collection::vec(group, 1..4)
}

/// What YAML 1.1 makes a number, a boolean, null, a date, `=` or `<<` of, after <https://yaml.org/type/>.
fn is_not_a_string_to_yaml_1_1(plain: &str) -> bool {
    let patterns = [
        r"^(~|null|Null|NULL|y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|=|<<)?$",
        r"^[-+]?(0b[0-1_]+|0[0-7_]+|0o[0-7_]+|(0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+)$",
        r"^[-+]?(([0-9][0-9_]*)?\.[0-9.]*([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)$",
        r"^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$",
        r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}",
    ];
    patterns.iter().any(|pattern| regex_lite::Regex::new(pattern).unwrap().is_match(plain))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn reading_gives_back_what_was_written(groups in groups()) {
        let text = written(&groups);
        prop_assert_eq!(read(&text), groups, "{}", text);
    }

    #[test]
    fn nothing_plain_is_a_number_or_a_word(value in text()) {
        let group = RuleGroup {
            name: value,
            interval: None,
            rules: Vec::new(),
        };
        let text = written(&[group]);
        let line = text.lines().find_map(|line| line.strip_prefix("- name: ")).unwrap();
        prop_assert!(line.starts_with(['"', '|']) || !is_not_a_string_to_yaml_1_1(line), "{}", line);
    }
}

#[test]
fn long_keys_are_written_so_that_they_may_be_long() {
    let rule = Rule {
        kind: RuleKind::Record,
        name: "a".to_owned(),
        expr: "b".to_owned(),
        hold: None,
        labels: BTreeMap::from([("k".repeat(3_000), "v\nw".to_owned()), ("=".repeat(2_000), String::new())]),
        annotations: BTreeMap::new(),
    };
    let groups = vec![RuleGroup { name: "g".to_owned(), interval: None, rules: vec![rule] }];
    assert_eq!(read(&written(&groups)), groups);
}

#[test]
fn looks_like_a_file_that_people_read() {
    let groups = vec![RuleGroup {
        name: "sloth-slo-alerts-shop".to_owned(),
        interval: Some(PromDuration::from_secs(30)),
        rules: vec![
            Rule {
                kind: RuleKind::Record,
                name: "slo:sli_error:ratio_rate5m".to_owned(),
                expr: "(a{b=\"c\"}[5m])\n/\n(d)\n".to_owned(),
                hold: None,
                labels: BTreeMap::from([
                    ("sloth_window".to_owned(), "5m".to_owned()),
                    ("on".to_owned(), "2".to_owned()),
                ]),
                annotations: BTreeMap::new(),
            },
            Rule {
                kind: RuleKind::Alert,
                name: "Shop".to_owned(),
                expr: "(\n  1 - x\n)".to_owned(),
                hold: Some(PromDuration::from_secs(900)),
                labels: BTreeMap::new(),
                annotations: BTreeMap::from([(
                    "title".to_owned(),
                    "(page) {{$labels.x}} is: bad".to_owned(),
                )]),
            },
        ],
    }];
    assert_eq!(
        written(&groups),
        r#"# Code generated by slo-engine 0 (profile sloth). DO NOT EDIT.
groups:
- name: sloth-slo-alerts-shop
  interval: 30s
  rules:
  - record: slo:sli_error:ratio_rate5m
    expr: |
      (a{b="c"}[5m])
      /
      (d)
    labels:
      "on": "2"
      sloth_window: 5m
  - alert: Shop
    expr: |-
      (
        1 - x
      )
    for: 15m
    annotations:
      title: "(page) {{$labels.x}} is: bad"
"#
    );
}
