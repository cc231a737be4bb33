//! Random policies, printed and read back.

use std::fmt::Write as _;

use proptest::prelude::*;
use quota_enforcer_core::entity::Kind;
use quota_enforcer_core::policy::{
    BudgetGuard, Burst, Confirm, Floor, HoldTimes, Limit, Measure, Mode, Pattern, Rule, Select,
};
use quota_enforcer_core::quota::Key;

use super::super::value::{Amount, Time, Unit};
use super::*;

fn seconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_secs)
}

fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    // Quoted in the file, so anything goes; `ü` so that it is not all ASCII. None is protected.
    proptest::collection::vec("z[a-zü*?:# '\"\\\\{]{0,8}".prop_map(Pattern), 1..3)
}

fn hold() -> impl Strategy<Value = HoldTimes> {
    (seconds(1..600), seconds(0..600), seconds(0..9_999), seconds(1..99_999), 1_u32..=16).prop_map(
        |(minimum, more, longer, memory, factor)| HoldTimes {
            minimum,
            duration: minimum + more,
            longest: minimum + more + longer,
            memory,
            factor,
        },
    )
}

fn rule(index: usize) -> impl Strategy<Value = Rule> {
    let who = (patterns(), patterns(), 0_usize..3);
    let what = (0_usize..3, 0_usize..6, 2_u32..1_000_000, 1_u32..100, 0_usize..4);
    let how = (1_u32..=64, 0_u32..64, 0_usize..3, hold(), proptest::option::of(1_u32..1_000));
    let rest = (any::<bool>(), 1_u32..50, 1_u32..10_000_000);
    (who, what, how, rest).prop_map(move |(who, what, how, rest)| {
        let (users, client_ids, kind) = who;
        let (key, measure, enter, part, limit) = what;
        let (k, spare, mode, hold, burn) = how;
        let (sentinel, connections, bytes) = rest;
        let kind = [Kind::User, Kind::ClientId, Kind::Pair][kind];
        let mode = [Mode::Observe, Mode::Flag, Mode::Enforce][mode];
        let (enter, part) = (f64::from(enter), f64::from(part) / 100.0);
        let share = enter / 1e6;
        let measures = [
            (Measure::Total, enter),
            (Measure::WorstBroker, enter),
            (Measure::ShareOfBroker, share),
            (Measure::ShareOfCluster, share),
            (Measure::TimesBaseline, enter),
            (Measure::Query("sum by (user) (m{a=\"b\"})".to_owned()), enter),
        ];
        let (measure, enter) = measures[measure].clone();
        let limit = [
            Limit::Total(enter),
            Limit::PerBroker(enter * 2.0),
            Limit::ShareOfCluster(part),
            Limit::TimesBaseline(enter),
        ][limit];
        Rule {
            name: format!("r{index}"),
            select: Select {
                users: if kind == Kind::ClientId { Vec::new() } else { users },
                client_ids: if kind == Kind::User { Vec::new() } else { client_ids },
            },
            entity: kind,
            key: Key::ALL[key],
            measure,
            enter,
            release: enter * part,
            confirm: Confirm { k: k.min(64 - spare), n: k.min(64 - spare) + spare },
            mode,
            limit,
            floor: Floor { bound: f64::from(bytes), times_baseline: burn.map(|burn| f64::from(burn) / 4.0) },
            hold,
            when: burn.map(|burn| BudgetGuard { slo: format!("slo {burn}"), burn: f64::from(burn) / 4.0 }),
            sentinel: (sentinel && kind != Kind::Pair).then_some(1e12),
            burst: Burst { connections, request_bytes: f64::from(bytes) },
            owner: burn.map(|burn| format!("team: {burn}")),
            runbook_url: burn.map(|burn| format!("https://runbooks/{burn}#x")),
        }
    })
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn print(rule: &Rule) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: String| writeln!(out, "    {key}: {value}").unwrap();
    let unit = if rule.key == Key::RequestPercentage { Unit::Percent } else { Unit::Bytes };
    let amount =
        |value: f64, unit: Unit, per_broker: bool| quoted(&Amount { value, unit, per_broker }.to_string());
    let (threshold, per_broker) = match &rule.measure {
        Measure::Total => (unit, false),
        Measure::WorstBroker => (unit, true),
        Measure::ShareOfBroker => (Unit::OfBroker, false),
        Measure::ShareOfCluster => (Unit::OfCluster, false),
        Measure::TimesBaseline => (Unit::Baseline, false),
        Measure::Query(query) => {
            line("query", quoted(query));
            (Unit::Plain, false)
        }
    };
    let list = |patterns: &[Pattern]| {
        let patterns: Vec<String> = patterns.iter().map(|pattern| quoted(&pattern.0)).collect();
        format!("[{}]", patterns.join(", "))
    };
    let users = list(&rule.select.users);
    line("select", format!("{{users: {users}, client_ids: {}}}", list(&rule.select.client_ids)));
    line("entity", ["user", "client-id", "user+client-id"][rule.entity as usize].to_owned());
    line("measure", ["produce", "consume", "request-time"][rule.key as usize].to_owned());
    line("enter", amount(rule.enter, threshold, per_broker));
    line("release", amount(rule.release, threshold, per_broker));
    line("confirm", format!("{} of {}", rule.confirm.k, rule.confirm.n));
    line("mode", ["observe", "flag", "enforce"][rule.mode as usize].to_owned());
    let limit = match rule.limit {
        Limit::Total(value) => amount(value, unit, false),
        Limit::PerBroker(value) => amount(value, unit, true),
        Limit::ShareOfCluster(value) => amount(value, Unit::OfCluster, false),
        Limit::TimesBaseline(value) => amount(value, Unit::Baseline, false),
    };
    line("limit", limit);
    let floor = Amount { value: rule.floor.bound, unit, per_broker: false };
    let own = rule.floor.times_baseline.map(|value| format!(" and {value}x baseline"));
    line("floor", quoted(&format!("{floor}{}", own.unwrap_or_default())));
    let HoldTimes { minimum, duration, factor, longest, memory } = rule.hold;
    let [minimum, duration, longest, memory] = [minimum, duration, longest, memory].map(Time);
    line(
        "hold",
        format!(
            "{{minimum: {minimum}, duration: {duration}, factor: {factor}, longest: {longest}, memory: {memory}}}"
        ),
    );
    if let Some(when) = &rule.when {
        line("when", format!("{{slo: {}, burn_rate: {}}}", quoted(&when.slo), when.burn));
    }
    if let Some(sentinel) = rule.sentinel {
        line("sentinel", amount(sentinel, unit, false));
    }
    line(
        "burst",
        format!("{{connections: {}, request_bytes: {}B}}", rule.burst.connections, rule.burst.request_bytes),
    );
    for (key, value) in [("owner", &rule.owner), ("runbook_url", &rule.runbook_url)] {
        if let Some(value) = value {
            line(key, quoted(value));
        }
    }
    format!("  - name: {}\n{out}", rule.name)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Equal but for the rounding of decimal fractions.
fn assert_same(read: &Rule, given: &Rule) {
    let value = |limit: Limit| match limit {
        Limit::Total(value)
        | Limit::PerBroker(value)
        | Limit::ShareOfCluster(value)
        | Limit::TimesBaseline(value) => value,
    };
    for (a, b) in
        [(read.enter, given.enter), (read.release, given.release), (value(read.limit), value(given.limit))]
    {
        assert!(close(a, b), "{a} {b}");
    }
    assert_eq!(std::mem::discriminant(&read.limit), std::mem::discriminant(&given.limit));
    let Rule { enter, release, limit, .. } = *given;
    assert_eq!(Rule { enter, release, limit, ..read.clone() }, *given);
}

proptest! {
    #[test]
    fn policies_are_read_back(rules in (rule(0), rule(1))) {
        let rules = [rules.0, rules.1];
        let text = rules.iter().map(print).collect::<String>();
        let text = format!("kafka: {{bootstrap.servers: a}}\nprometheus: {{url: http://p}}\nprotected: {{users: []}}\nrules:\n{text}");
        let (settings, _) = load(&Source::new("x", text.as_str())).map_err(|errors| TestCaseError::fail(format!("{text}\n{}", rendered(&errors))))?;
        prop_assert_eq!(settings.policy.rules.len(), rules.len());
        for (read, given) in settings.policy.rules.iter().zip(&rules) {
            assert_same(read, given);
        }
    }

    #[test]
    fn no_text_panics(lines in proptest::collection::vec("( {0,4}|- )(rules|kafka|name|enter|limit|hold|select|metrics|broker|query|when)?:? ?([a-z0-9%/ .\\[\\]{}\"*]{0,10})", 0..12)) {
        let text = lines.join("\n");
        for diagnostic in load(&Source::new("x", text.as_str())).err().into_iter().flatten() {
            for place in diagnostic.place.iter().chain(diagnostic.related.iter().map(|(place, _)| place)) {
                prop_assert!(text.get(place.span.range()).is_some());
            }
            rendered(&[diagnostic]);
        }
    }
}
