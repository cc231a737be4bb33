//! Rules that change, that only observe, and clients that are too many.

use kafka_admin::{Entity, EntityPart};
use quota_enforcer::status::Status;
use quota_enforcer_core::decide::{Cap, State, Verdict};
use testbed::kafka::ENFORCER;
use testbed::kafka::load::Crowd;
use testbed::quota::Rule;

use super::{PRODUCE, Quotas, WILD, World, rule, throttle};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_wrong_changes_nothing_and_a_rule_that_is_gone_frees_its_clients() {
    let world = World::new(rule()).await;
    world.ready().await;
    world.throttled().await;
    let policy = world.status().await.unwrap().policy;

    world.stage.enforcer.configure("rules: [{name: half").unwrap();
    world.until_metric("config_last_reload_successful", 0.0).await;
    let status = world.status().await.unwrap();
    assert_eq!(status.policy, policy);
    assert!(throttle(&status).is_some());
    world.look().await;

    // Another threshold, in the middle of the throttle: the hold goes on under the new policy.
    world.stage.configure(&Rule { enter: 700_000, ..rule() }).unwrap();
    let changed = world.until("the new policy", |status| status.policy != policy).await;
    assert!(throttle(&changed).is_some());
    world.held().await;

    world.stage.configure(&Rule { enabled: false, ..rule() }).unwrap();
    world.until("the release", |status| throttle(status).is_none()).await;
    // By a file that no daemon runs: what would be written, as soon as the runaway is as fast as before.
    let candidate = world.stage.replica(&rule(), ENFORCER).unwrap();
    let planned = super::until("a first step to be planned", || async {
        let (code, out, _) = candidate.command(&["plan"])?;
        Ok((code == Some(0) && out.contains("+ user=mallory producer_byte_rate")).then_some(out))
    });
    println!("{}", planned.await.unwrap());
    assert_eq!(world.look().await, Quotas::new());
    world.proved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observing_writes_nothing() {
    let mut world = World::new(Rule { mode: "observe", sentinel: true, ..rule() }).await;
    world.ready().await;
    // With no default a sentinel would have its place, were it a rule that flags.
    world.human_sets(&Entity::user(EntityPart::Default), PRODUCE, None).await;
    world.human_sets(&Entity::user(EntityPart::name("mallory")), PRODUCE, Some(1e9)).await;
    world.stage.wild.set_rate(WILD);
    let flagged = world
        .until("the runaway to be seen", |status| {
            status.verdicts.iter().any(|verdict| verdict.state == State::Observed)
        })
        .await;
    world.until("some ticks", |status| status.at.since(flagged.at).as_secs() >= 8).await;
    assert_eq!(world.look().await, Quotas::new());
    assert!(world.status().await.unwrap().holds.is_empty());
    // Beside who leads there is no record.
    let export = world.run(&["audit", "export"]).await;
    let events: Vec<serde_json::Value> =
        export.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    assert!(events.iter().all(|record| record["event"] == "leader"), "{export}");
}

/// How many clients run away at once.
const CROWD: u32 = 200;
/// The same with `FULL=1`.
const CROWD_OF_FULL: u32 = 1_000;
/// Bytes of a request of each, once a second.
const REQUEST: u32 = 6_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_clients_is_a_page_and_a_rule_for_users_collapses_it() {
    let size = if super::full() { CROWD_OF_FULL } else { CROWD };
    let burst = (1, REQUEST + 500);
    let by_client_id = Rule { entity: "client-id", enter: 3_000, limit: 2_000, burst, ..rule() };
    let mut world = World::new(Rule { enabled: false, ..by_client_id.clone() }).await;
    for tenant in &world.stage.tenants {
        tenant.set_rate(0);
    }
    world.stage.wild.set_rate(0);
    // Clients are measured by client id now.
    world.human_sets(&Entity::client_id(EntityPart::Default), PRODUCE, Some(1e12)).await;
    world.human_sets(&Entity::user(EntityPart::Default), PRODUCE, None).await;
    world.human_sets(&super::user("alice"), PRODUCE, None).await;
    world.cluster.create_topic("dave.noise", 3, 1, &[("min.insync.replicas", "1")]).await.unwrap();
    let bytes = usize::try_from(REQUEST).unwrap();
    let mut crowd = Crowd::start(&world.cluster, "dave", "dave.noise", usize::try_from(size).unwrap(), bytes)
        .await
        .unwrap();
    // All of them at once: those that are measured first would be throttled one by one.
    let query = "count(sum by (client_id) (kafka_server_quota_byte_rate{client_id=~\"crowd-.*\"}) > 3000)";
    world.until_metric(query, f64::from(size)).await;
    world.stage.configure(&by_client_id).unwrap();

    // Most by the cap; those whose requests just came together, because no bound on them is safe in that moment.
    let blocked = |status: &Status| {
        let blocked = |verdict: &&Verdict| matches!(verdict.state, State::Blocked { .. });
        status.verdicts.iter().filter(blocked).count()
    };
    let capped = world
        .until("a cap, and nothing that is done to any of them", |status| {
            status.capped.contains(&Cap::Throttles) && blocked(status) >= usize::try_from(size).unwrap()
        })
        .await;
    assert!(capped.holds.is_empty(), "{:?}", capped.holds);
    world.until("some ticks", |status| status.at.since(capped.at).as_secs() >= 5).await;
    assert_eq!(world.look().await, Quotas::new(), "nothing is done, instead of as much as fits");
    world.until_metric("sum(quota_enforcer_capped > bool 0)", 1.0).await;
    crowd.check().unwrap();

    // The same clients, looked at as what they are: one user.
    world.human_sets(&Entity::user(EntityPart::Default), PRODUCE, Some(1e12)).await;
    world
        .stage
        .configure(&Rule { enter: size * REQUEST / 3, limit: size * REQUEST / 6, burst, ..rule() })
        .unwrap();
    let hold = world.hold("the user to be throttled", |hold| hold.ours.is_some()).await;
    assert_eq!(hold.slot.entity.to_string(), "user=dave");
    assert_eq!(world.look().await.len(), 1);
    crowd.check().unwrap();
    drop(crowd);
    world.released().await;
    world.proved().await;
    // Its brokers would show all these clients to the tests that follow.
    world.cluster.discard();
}
