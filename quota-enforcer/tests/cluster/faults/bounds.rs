//! How long the runaway's connections pause while it is being cut.

use std::time::Duration;

use quota_enforcer_core::ledger::Phase;
use testbed::quota::Rule;
use tokio::time::Instant;

use super::{World, rule, throttle};

const BOUND: Duration = Duration::from_secs(10);
/// How long the client keeps what brokers say to itself.
const STATISTICS: Duration = Duration::from_secs(1);

/// Lets it run until its bound is where it is meant to be, and for as long as the last step may mute it. What counts is the
/// time for which brokers say that they mute a connection; that a busy machine is slow to answer adds nothing to it.
async fn cut(rule: Rule, connections: usize, rate: u32) {
    let world = World::with_connections(rule, connections).await;
    world.ready().await;
    world.stage.wild.set_rate(rate);
    let (mut bounds, mut pause) = (Vec::new(), Duration::ZERO);
    let deadline = Instant::now() + testbed::wait::LIMIT;
    let mut held = None;
    loop {
        let reading = world.stage.wild.read();
        let status = world.status().await.unwrap();
        assert!(Instant::now() < deadline, "{bounds:?}, {:#?}", status.verdicts);
        if let Some(hold) = throttle(&status) {
            pause = pause.max(reading.longest_pause);
            if let Some(bound) = hold.ours.filter(|bound| bounds.last() != Some(bound)) {
                bounds.push(bound);
                world.look().await;
            }
            let since = held.filter(|_| hold.phase == Phase::Holding).unwrap_or_else(Instant::now);
            held = (hold.phase == Phase::Holding).then_some(since);
            if since.elapsed() > BOUND + STATISTICS {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let longest = world.stage.wild.totals().throttled;
    println!(
        "{connections} connections: bounds {bounds:?}, longest throttle {longest:?}, longest pause {pause:?}"
    );
    assert!(bounds.len() >= 2 && bounds.is_sorted_by(|a, b| a > b), "in steps: {bounds:?}");
    assert!(longest > Duration::ZERO, "brokers throttled it: {bounds:?}");
    assert!(longest <= BOUND, "a connection was muted for {longest:?}: {bounds:?}");
    assert!(world.stage.wild.totals().failed.is_empty(), "{:?}", world.stage.wild.totals());
    world.released().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_never_pauses_longer_than_the_bound() {
    cut(rule(), 1, super::WILD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_connections_never_pause_longer_than_the_bound() {
    let many = Rule { enter: 1_500_000, limit: 600_000, burst: (20, 16_384), ..rule() };
    cut(many, 20, 5_000_000).await;
}
