//! Rules that change, that only observe, and clients that are too many.

use kafka_admin::{Entity, EntityPart};
use quota_enforcer_core::decide::{Cap, State};
use testbed::kafka::Listener;
use testbed::kafka::load::{Producer, ProducerOptions};
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
    assert_eq!(world.look().await, Quotas::new());
    world.proved();
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
    let export = world.run(&["audit", "export"]);
    let events: Vec<serde_json::Value> =
        export.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    assert!(events.iter().all(|record| record["event"] == "leader"), "{export}");
}

/// More clients at once than the caps allow, which is not real load of a thousand but looks the same to the caps: forty
/// client ids over a threshold of some kilobytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make test FULL=1 runs it"]
async fn random_client_ids_are_a_page_and_a_rule_for_users_collapses_them() {
    let by_client_id = Rule { entity: "client-id", enter: 3_000, limit: 2_000, burst: (1, 1_200), ..rule() };
    let mut world = World::new(by_client_id).await;
    for tenant in &world.stage.tenants {
        tenant.set_rate(0);
    }
    world.stage.wild.set_rate(0);
    // Clients are measured by client id now.
    world.human_sets(&Entity::client_id(EntityPart::Default), PRODUCE, Some(1e12)).await;
    world.human_sets(&Entity::user(EntityPart::Default), PRODUCE, None).await;
    world.human_sets(&super::user("alice"), PRODUCE, None).await;
    world.cluster.create_topic("dave.noise", 3, 3, &[("min.insync.replicas", "2")]).await.unwrap();
    let properties = world.cluster.client_properties(Listener::SaslPlaintext, "dave");
    let noise = |number: u32| {
        let client_id = format!("noise-{number:04x}");
        let options = ProducerOptions::new(properties.clone(), &client_id, "dave.noise");
        Producer::start(ProducerOptions { rate: 9_000, record_size: 300, ..options }).unwrap()
    };
    let noises: Vec<Producer> = (0..40).map(noise).collect();

    let capped = world.until("a cap", |status| status.capped.contains(&Cap::Throttles)).await;
    assert!(capped.holds.is_empty(), "{capped:?}");
    world.until("some ticks", |status| status.at.since(capped.at).as_secs() >= 5).await;
    assert_eq!(world.look().await, Quotas::new(), "nothing is done, instead of as much as fits");
    world.until_metric("sum(quota_enforcer_capped > bool 0)", 1.0).await;

    // The same clients, looked at as what they are: one user.
    world.human_sets(&Entity::user(EntityPart::Default), PRODUCE, Some(1e12)).await;
    world.stage.configure(&Rule { enter: 200_000, limit: 100_000, burst: (40, 1_200), ..rule() }).unwrap();
    let hold = world.hold("the user to be throttled", |hold| hold.ours.is_some()).await;
    assert_eq!(hold.slot.entity.to_string(), "user=dave");
    assert_eq!(world.look().await.len(), 1);
    drop(noises);
    world.released().await;
    world.proved();
}
