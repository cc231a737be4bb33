//! What is told of one status.

use quota_enforcer_core::decide::{Block, Cap, Verdict};
use quota_enforcer_core::entity::Entity;
use quota_enforcer_core::policy::Mode;
use quota_enforcer_core::quota::{Key, Slot};
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::Unknown;

use super::*;
use crate::status::RuleInfo;

fn told(status: Status) -> String {
    let (_keep, status) = watch::channel(Arc::new(status));
    let mut registry = Registry::default();
    let _meters = Meters::register(&mut registry, status);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

fn verdict(entity: Option<&str>, state: State) -> Verdict {
    Verdict {
        rule: "greedy".to_owned(),
        entity: entity.map(Entity::user),
        key: Key::ProducerByteRate,
        state,
        value: Some(2e7),
        rates: None,
        why: String::new(),
    }
}

fn hold(user: &str, phase: Phase, ineffective: bool) -> Hold {
    let (at, slot) = (Timestamp(0), Slot { entity: Entity::user(user), key: Key::ProducerByteRate });
    Hold {
        ours: Some(1e6),
        intent: None,
        phase,
        ineffective: ineffective.then_some(at),
        ..Hold::begun(slot, Purpose::Throttle, "greedy", 1e6, at)
    }
}

#[test]
fn rules_are_told_with_who_answers_for_them() {
    let info = |rule: &str, owner: Option<&str>| RuleInfo {
        rule: rule.to_owned(),
        mode: Mode::Flag,
        owner: owner.map(str::to_owned),
        runbook_url: owner.map(|_| "https://x/\"y\"".to_owned()),
    };
    let rules = vec![info("greedy", Some("platform")), info("other", None)];
    let text = told(Status { rules, ..Status::default() });
    for line in [
        r#"quota_enforcer_rule_info{rule="greedy",mode="flag",owner="platform",runbook_url="https://x/\"y\""} 1"#,
        r#"quota_enforcer_rule_info{rule="other",mode="flag",owner="",runbook_url=""} 1"#,
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
}

#[test]
fn a_rule_that_lacks_two_things_is_blind_once_and_who_is_observed_is_named() {
    let missing = |what: &str| State::Unknown { reason: Unknown::Missing { what: what.to_owned() } };
    let verdicts = vec![
        verdict(None, missing("a")),
        verdict(None, missing("b")),
        verdict(Some("young"), missing("its baseline")),
        verdict(Some("seen"), State::Observed),
        verdict(Some("kept"), State::Blocked { by: Block::Cap { cap: Cap::Throttles } }),
        verdict(Some("over"), State::Over),
    ];
    let text = told(Status { verdicts, ..Status::default() });
    let lines = |name: &str| text.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
    assert_eq!(lines("quota_enforcer_rule_unknown{"), [r#"quota_enforcer_rule_unknown{rule="greedy"} 1.0"#]);
    let confirmed = lines("quota_enforcer_confirmed{");
    assert_eq!(confirmed.len(), 2, "{confirmed:?}");
    let of = |user: &str, state: &str, by: &str| {
        format!(
            r#"quota_enforcer_confirmed{{rule="greedy",entity="user={user}",key="producer_byte_rate",state="{state}",by="{by}"}} 20000000.0"#
        )
    };
    for line in [of("seen", "observed", ""), of("kept", "blocked", "cap")] {
        assert!(confirmed.contains(&line.as_str()), "{line}\n{confirmed:?}");
    }
}

#[test]
fn what_is_wrong_is_told_of_each_hold() {
    let holds = vec![
        hold("fine", Phase::Holding, false),
        hold("deaf", Phase::Cutting, true),
        // What a human took over is no throttle of ours that could bite.
        hold("lost", Phase::Lost, true),
    ];
    let text = told(Status { holds, ..Status::default() });
    for (name, user, value) in [
        ("ineffective", "fine", "0.0"),
        ("ineffective", "deaf", "1.0"),
        ("ineffective", "lost", "0.0"),
        ("taken_over", "deaf", "0.0"),
        ("taken_over", "lost", "1.0"),
    ] {
        let line = format!(
            r#"quota_enforcer_{name}{{rule="greedy",entity="user={user}",key="producer_byte_rate"}} {value}"#
        );
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
}

#[test]
fn it_is_told_when_throttles_of_ours_end() {
    let ends = |hold: Hold| Hold { expires: Timestamp(1_500), ..hold };
    let holds = vec![
        ends(hold("held", Phase::Holding, false)),
        ends(hold("lost", Phase::Lost, false)),
        Hold {
            purpose: Purpose::Sentinel,
            expires: Timestamp(i64::MAX),
            ..hold("<default>", Phase::Holding, false)
        },
    ];
    let text = told(Status { holds, ..Status::default() });
    let told: Vec<&str> =
        text.lines().filter(|line| line.starts_with("quota_enforcer_expires_timestamp_seconds{")).collect();
    let line = r#"quota_enforcer_expires_timestamp_seconds{rule="greedy",entity="user=held",key="producer_byte_rate"} 1.5"#;
    assert_eq!(told, [line]);
}

#[test]
fn windows_of_a_minute_and_a_half_fall_into_a_bucket() {
    let (_keep, status) = watch::channel(Arc::new(Status::default()));
    let mut registry = Registry::default();
    Meters::register(&mut registry, status).unguarded(Duration::from_secs(100));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let bucket =
        |le: &str, count: u32| format!("quota_enforcer_unguarded_seconds_bucket{{le=\"{le}\"}} {count}");
    for line in [bucket("65.536", 0), bucket("131.072", 1)] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
}
