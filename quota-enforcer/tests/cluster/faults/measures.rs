//! What else clients take beside what they produce: what they consume, and brokers' time.

use kafka_admin::{Entity, EntityPart};
use quota_enforcer::status::Status;
use quota_enforcer_core::decide::State;
use quota_enforcer_core::ledger::Phase;
use testbed::kafka::Listener;
use testbed::kafka::load::{Consumer, ConsumerOptions, Producer, ProducerOptions};
use testbed::quota::Rule;

use super::{CONSUME, Quotas, World, rule, throttle};

const REQUEST_TIME: &str = "request_percentage";
const TOPIC: &str = "dave.archive";

/// One fetch, which may add this much on each broker.
const FETCH: u32 = 65_536;

/// Reads a topic over and over, as fast as brokers let it.
fn reader(world: &World) -> Consumer {
    let mut properties = world.cluster.client_properties(Listener::SaslPlaintext, "dave");
    for key in ["fetch.max.bytes", "fetch.message.max.bytes", "message.max.bytes"] {
        properties.insert(key.to_owned(), FETCH.to_string());
    }
    let options = ConsumerOptions { again: true, ..ConsumerOptions::new(properties, "reader", TOPIC) };
    Consumer::start(options).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_consumes_too_much_is_throttled_and_released_and_request_time_is_flagged() {
    let consume =
        Rule { measure: "consume", enter: 1_500_000, limit: 1_000_000, burst: (1, FETCH), ..rule() };
    let mut world = World::new(consume).await;
    // So that users are measured by what they read, and by the time that they take.
    world.human_sets(&Entity::user(EntityPart::Default), CONSUME, Some(1e12)).await;
    world.human_sets(&Entity::user(EntityPart::Default), REQUEST_TIME, Some(1e6)).await;
    world.cluster.create_topic(TOPIC, 3, 3, &[("min.insync.replicas", "2")]).await.unwrap();
    let properties = world.cluster.client_properties(Listener::SaslPlaintext, "dave");
    let archive = ProducerOptions { rate: 3_000_000, ..ProducerOptions::new(properties, "writer", TOPIC) };
    let archive = Producer::start(archive).unwrap();
    super::until("something to read", || async {
        Ok((archive.totals().acknowledged >= 5_000).then_some(()))
    })
    .await
    .unwrap();
    drop(archive);

    let consumer = reader(&world);
    let hold = world.hold("the reader to be throttled", |hold| hold.phase == Phase::Holding).await;
    assert_eq!((hold.slot.entity.to_string(), hold.slot.key.name()), ("user=dave".to_owned(), CONSUME));
    let live = world.agreed().await;
    assert_eq!(live.len(), 1, "{live:?}");
    let hold = world.hold("the bound to bite", |hold| hold.verified.is_some()).await;
    assert!(hold.ineffective.is_none(), "{hold:?}");
    // It is slowed, and goes on.
    let before = consumer.bytes();
    super::until("more to be read", || async { Ok((consumer.bytes() > before + 1_000_000).then_some(())) })
        .await
        .unwrap();
    drop(consumer);
    world.until("the release", |status| throttle(status).is_none()).await;
    assert_eq!(world.look().await, Quotas::new());

    // Fetches that are small and many take time on the brokers.
    let time = Rule { measure: "request-time", mode: "flag", enter: 1, limit: 1, ..rule() };
    world.stage.configure(&time).unwrap();
    let consumer = reader(&world);
    let flagged = |status: &Status| {
        let who = |entity: &quota_enforcer_core::entity::Entity| entity.to_string() == "user=dave";
        let mut verdicts = status.verdicts.iter().filter(|verdict| verdict.key.name() == REQUEST_TIME);
        verdicts.any(|verdict| verdict.state == State::Flagged && verdict.entity.as_ref().is_some_and(who))
    };
    world.until("the reader to be flagged for the time that it takes", flagged).await;
    assert_eq!(world.look().await, Quotas::new(), "a flag is all");
    drop(consumer);
    world.proved().await;
}
