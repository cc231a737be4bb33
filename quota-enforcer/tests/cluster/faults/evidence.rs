//! Evidence that is missing, old, partial, or about somebody else.

use std::path::Path;

use kafka_admin::{Entity, EntityPart};
use quota_enforcer::status::Status;
use quota_enforcer_core::decide::State;
use quota_enforcer_core::ledger::Hold;
use rustix::process::Signal;
use serde_json::Value;
use testbed::kafka::ENFORCER;

use super::{CALM, PRODUCE, Quotas, WILD, World, rule, throttle, user};

/// Nothing is known of the rule, or of the client that it holds.
fn blind(status: &Status) -> bool {
    status.verdicts.iter().any(|verdict| matches!(verdict.state, State::Unknown { .. }))
}

/// Some ticks later everything stands as it stood.
async fn nothing_moves(world: &World, live: &Quotas, seconds: u64) {
    let begin = world.status().await.unwrap().at;
    world.until("some ticks", |status| status.at.since(begin).as_secs() >= seconds).await;
    assert_eq!(world.look().await, *live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_prometheus_stale_or_down_what_is_held_stays_and_nothing_else_begins() {
    let mut world = World::new(rule()).await;
    world.ready().await;
    world.throttled().await;

    // It hangs, connections open, in the middle of cutting.
    world.stage.prometheus.server().signal(Signal::STOP).unwrap();
    world.until("nothing to be known", blind).await;
    let live = world.agreed().await;
    assert_eq!(live.len(), 1);
    // A client that is quiet cannot be told from one that is not seen.
    world.stage.wild.set_rate(CALM);
    nothing_moves(&world, &live, 8).await;
    // People are heard all the same, though each tick waits for Prometheus.
    world.run(&["pause", "--by", "tester", "--reason", "a test"]).await;
    world.run(&["resume", "--by", "tester"]).await;
    world.stage.prometheus.server().signal(Signal::CONT).unwrap();
    world.released().await;

    world.throttled().await;
    world.stage.prometheus.stop();
    world.until("nothing to be known", blind).await;
    let live = world.agreed().await;
    world.stage.wild.set_rate(CALM);
    nothing_moves(&world, &live, 8).await;
    // A person needs no metrics to end it.
    world.let_go().await;
    // And nobody is caught whom nobody sees.
    world.stage.wild.set_rate(WILD);
    nothing_moves(&world, &Quotas::new(), 6).await;
    world.proved().await;
}

#[allow(clippy::disallowed_methods, reason = "Prometheus reads it when it is told to")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_exporter_of_one_broker_there_is_no_evidence() {
    let world = World::new(rule()).await;
    world.ready().await;
    let path = world.stage.prometheus.config().to_owned();
    let before = std::fs::read_to_string(&path).unwrap();
    let mut partial: Value = serde_json::from_str(before.trim_start_matches(|c| c != '{')).unwrap();
    for job in partial["scrape_configs"].as_array_mut().unwrap() {
        if job["job_name"] == "kafka" {
            job["static_configs"].as_array_mut().unwrap().pop().unwrap();
        }
    }
    write(&path, &partial.to_string());
    world.stage.prometheus.reload().await.unwrap();
    world.until("nothing to be known", blind).await;
    world.stage.wild.set_rate(WILD);
    nothing_moves(&world, &Quotas::new(), 8).await;
    assert!(blind(&world.status().await.unwrap()), "two of three brokers are no evidence");

    write(&path, &before);
    world.stage.prometheus.reload().await.unwrap();
    world.throttled().await;
    world.released().await;
    world.proved().await;
}

/// Some ticks later it is held as before, or tighter where its load has moved, and what stands is in the ledger.
async fn still_held(world: &World, before: &Hold, seconds: u64) -> Hold {
    let begin = world.status().await.unwrap().at;
    world.until("some ticks", |status| status.at.since(begin).as_secs() >= seconds).await;
    assert_eq!(world.agreed().await.len(), 1);
    let hold = throttle(&world.status().await.unwrap()).cloned().expect("the hold stands");
    assert!(hold.ours.is_some() && hold.ours <= before.ours, "{hold:?}");
    hold
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn humans_who_move_series_to_other_labels_free_nobody_and_keep_their_quotas() {
    let mut world = World::new(rule()).await;
    world.ready().await;
    let held = world.held().await;

    // A quota at a new level: alice's series move.
    let pair =
        |name: &str| Entity::user_client(EntityPart::name(name), EntityPart::name(format!("{name}-orders")));
    world.human_sets(&pair("alice"), PRODUCE, Some(4e7)).await;
    // The default goes: those without a quota of their own have no series by user any more.
    world.human_sets(&Entity::user(EntityPart::Default), PRODUCE, None).await;
    still_held(&world, &held, 10).await;

    // A pair of the runaway's own takes it out of our bound.
    world.human_sets(&pair("mallory"), PRODUCE, Some(5e7)).await;
    let told = world.hold("to be told as without effect", |hold| hold.ineffective.is_some()).await;
    println!("{told:?}");
    world.until_metric("quota_enforcer_ineffective", 1.0).await;
    let kept = still_held(&world, &told, 5).await;
    assert_eq!(kept.ours, told.ours, "not tightened further");

    world.human_sets(&pair("mallory"), PRODUCE, None).await;
    world.human_sets(&pair("alice"), PRODUCE, None).await;
    world.human_sets(&Entity::user(EntityPart::Default), PRODUCE, Some(1e12)).await;
    world.hold("to bite again", |hold| hold.verified.is_some() && hold.ineffective.is_none()).await;
    world.released().await;
    world.proved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_of_a_human_keeps_the_user_from_being_written() {
    let mut world = World::new(rule()).await;
    world.ready().await;
    let pair = Entity::user_client(EntityPart::name("mallory"), EntityPart::name("mallory-orders"));
    world.human_sets(&pair, PRODUCE, Some(5e7)).await;
    world.stage.wild.set_rate(WILD);
    // A bound on the user would not bind this client.
    let blocked = |status: &Status| {
        status.verdicts.iter().any(|verdict| matches!(verdict.state, State::Blocked { .. }))
    };
    world.until("to be blocked", blocked).await;
    nothing_moves(&world, &Quotas::new(), 5).await;
    world.human_sets(&user("mallory"), PRODUCE, Some(6e7)).await;
    nothing_moves(&world, &Quotas::new(), 5).await;
    assert!(world.status().await.unwrap().holds.is_empty());
}

/// The clock of a standby: librdkafka's timed waits go by the wall clock, and libfaketime stretches those of a leader's
/// transactions by as much as it moves the clock, which no real jump does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_is_noticed_and_not_followed() {
    let world = World::new(rule()).await;
    world.ready().await;
    let ahead = world.stage.folder().join("ahead");
    write(&ahead, "+0");
    let mut replica = world.stage.replica(&rule(), ENFORCER).unwrap();
    replica.skew_by(&ahead).unwrap();
    replica.start().await.unwrap();
    let seen = |jumped: bool| {
        let replica = &replica;
        async move {
            super::until("the jump to be noticed, or over", || async {
                let status: Status = serde_json::from_value(replica.status().await?)?;
                let told = status.blockers.iter().any(|why| why.contains("jumped"));
                Ok((told == jumped && status.at.0 > 0).then_some(status))
            })
            .await
            .unwrap()
        }
    };
    seen(false).await;
    for seconds in ["+7200", "-7200"] {
        write(&ahead, seconds);
        let status = seen(true).await;
        let true_time = world.status().await.unwrap().at;
        let apart = (true_time.0 - status.at.0).abs();
        assert!(apart < 60_000, "it goes by a clock that is {apart} ms off");
        write(&ahead, "+0");
        seen(false).await;
    }
    world.look().await;
}
