//! What is said of a client that a rule does not see.

use std::collections::BTreeMap;
use std::time::Duration;

use quota_enforcer::commands;
use quota_enforcer::engine::Tick;
use quota_enforcer::views::Seen;
use quota_enforcer::views::explain::explain;
use quota_enforcer_core::decide::{Memory, Observation, decide};
use quota_enforcer_core::entity::Client;
use quota_enforcer_core::ledger::Ledger;
use quota_enforcer_core::quota::{Key, Slot, Snapshot};
use quota_enforcer_core::step::Window;
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::{Reading, Usage};

/// Client ids have a default and alice has a quota: she is measured by user, and a loader by its client id. A rule for users
/// enters at 40 MB/s.
fn rules_lines(entity: &str, loader: f64) -> Vec<String> {
    let (now, key) = (Timestamp(1_700_000_000_000), Key::ProducerByteRate);
    let reading = |user: Option<&str>, client_id: Option<&str>, rate| {
        let client = Client { user: user.map(str::to_owned), client_id: client_id.map(str::to_owned) };
        Reading { broker: 1, client, rate, peak: rate, at: now }
    };
    let readings = vec![reading(Some("alice"), None, 1e6), reading(None, Some("loader"), loader)];
    let quota = |entity: &str| (Slot { entity: entity.parse().unwrap(), key }, 1e12);
    let snapshot: Snapshot = ["client-id=<default>", "user=alice"].map(quota).into_iter().collect();
    let observation = Observation {
        usage: BTreeMap::from([(key, Usage { readings, scraped: BTreeMap::from([(1, now)]) })]),
        snapshot: Some(snapshot),
        brokers: BTreeMap::from([(1, Window::new(11, Duration::from_secs(1)))]),
        ..Observation::default()
    };
    let (policy, ledger) = (crate::fixtures::settings().policy, Ledger::default());
    let outcome = decide(&policy, &observation, &ledger, &mut Memory::default(), now);
    let tick = Tick { at: now, observation, outcome, ..Tick::default() };
    let explanation = explain(&entity.parse().unwrap(), &Seen { tick, ledger, policy });
    let mut text = Vec::new();
    commands::explain::render(&explanation, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    text.lines().filter(|line| line.starts_with("  rule")).map(str::to_owned).collect()
}

#[test]
fn who_is_not_measured_is_not_said_to_be_calm() {
    let why = "1 series with 50.00 MB/s name no user: who is above the threshold may hide among them";
    assert_eq!(rules_lines("user=team-x", 5e7), [format!("  rule      greedy (observe): unknown: {why}")]);
    assert_eq!(rules_lines("user=team-x", 3e7), ["  rule      greedy (observe): not measured"]);
    assert_eq!(rules_lines("user=alice", 5e7), ["  rule      greedy (observe): calm"]);
}
