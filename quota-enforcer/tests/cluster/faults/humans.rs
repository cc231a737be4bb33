//! A human edits the quota that is held, in every phase.

use quota_enforcer_core::ledger::{Hold, Phase};
use testbed::quota::Rule;
use testbed::wait::LIMIT;

use super::{PRODUCE, Quotas, WILD, World, rule, throttle, user};

const VALUE: f64 = 123_456.0;

/// Hands off: the value stays, it is told, and only a person ends it.
async fn taken_over(world: &mut World, value: Option<f64>, when: &str) {
    println!("a human writes {value:?} while {when}");
    world.human_sets(&user("mallory"), PRODUCE, value).await;
    let lost = world.hold("to be known as a human's", |hold| hold.phase == Phase::Lost).await;
    assert_eq!((lost.ours, lost.intent), (None, None));
    world.until_metric("quota_enforcer_taken_over", 1.0).await;
    // The runaway goes on, and nothing is written.
    let seen = world.status().await.unwrap().at;
    world.until("some ticks", |status| status.at.since(seen).as_secs() >= 4).await;
    assert_eq!(world.look().await, Quotas::new());
    world.run(&["release", "user=mallory", "--by", "tester", "--reason", "seen"]).await;
    world.until("to be forgotten", |status| throttle(status).is_none()).await;
    assert_eq!(world.look().await, Quotas::new(), "what the human wrote stands after the release");
}

/// The human is gone, and the runaway is caught again.
async fn again(world: &mut World, rule: &Rule) {
    world.stage.wild.set_rate(WILD);
    if world.humans.contains_key(&("user=mallory".to_owned(), PRODUCE.to_owned())) {
        world.human_sets(&user("mallory"), PRODUCE, None).await;
    }
    world.stage.configure(rule).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_human_is_never_overwritten_in_any_phase() {
    let long = rule();
    let short = Rule { hold: ("1s", "2s", "1h"), ..rule() };
    let mut world = World::new(long.clone()).await;
    world.ready().await;

    again(&mut world, &long).await;
    world.hold("cutting", |hold| hold.phase == Phase::Cutting && hold.ours.is_some()).await;
    taken_over(&mut world, Some(VALUE), "cutting").await;

    again(&mut world, &long).await;
    world.held().await;
    taken_over(&mut world, Some(VALUE + 1.0), "holding").await;

    again(&mut world, &short).await;
    let probing = |hold: &Hold| hold.phase == Phase::Probing && hold.intent.is_none();
    world.hold("probing", probing).await;
    taken_over(&mut world, Some(VALUE + 2.0), "probing").await;

    // Taking our quota away is an edit, too: the client is free until somebody says otherwise.
    again(&mut world, &long).await;
    world.throttled().await;
    taken_over(&mut world, None, "throttled").await;
    world.proved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_written_between_intent_and_write_of_a_release_stays() {
    let mut world = World::new(rule()).await;
    world.ready().await;
    world.throttled().await;
    // It has looked, and dies before it writes: the first write of this process is the release.
    world.stage.enforcer.stop();
    world.calm().await;
    world.stage.enforcer.spawn(Some("described")).unwrap();
    world.stage.enforcer.ended(LIMIT).await.unwrap();
    world.human_sets(&user("mallory"), PRODUCE, Some(VALUE)).await;
    world.stage.enforcer.start().await.unwrap();
    world.hold("to be known as a human's", |hold| hold.phase == Phase::Lost).await;
    assert_eq!(world.look().await, Quotas::new());
    world.until_metric("quota_enforcer_taken_over", 1.0).await;
    world.proved().await;
}
