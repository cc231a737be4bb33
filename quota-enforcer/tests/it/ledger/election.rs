//! One leads, the others wait.

use std::time::Duration;

use quota_enforcer::adapters::ledger::{Fault, as_leader, read_ledger};
use quota_enforcer::ports::LedgerStore as _;
use testbed::wait::{self, LIMIT};

use super::child::{LEASE_OF_CHILD, Leader};
use super::world::{World, ensure, entry, lead, world};

/// A child that leads, and has written something.
async fn led_by_child(name: &str) -> (World, Leader) {
    let world = world(name).await;
    ensure(&world.place).await;
    let child = Leader::spawn(&world, name);
    assert_eq!(child.until("leads "), "1");
    child.until("wrote ");
    (world, child)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_when_the_leader_is_killed() {
    let (world, mut child) = led_by_child("killed").await;
    let mut election = world.join().await;
    world.until_members(2).await;
    let waits = tokio::time::timeout(Duration::from_secs(3), election.lead()).await;
    assert!(waits.is_err(), "a standby waits");
    // A newcomer does not interrupt the leader.
    child.forget();
    let wrote: u64 = child.until("wrote ").parse().unwrap();
    child.kill();

    let before = daemon_kit::clock::Clock::monotonic(&*world.clock);
    let leadership = lead(&mut election).await.unwrap();
    assert!(leadership.epoch > 1);
    let store = &leadership.store;
    assert!(store.ledger().head.unwrap().seq > wrote, "what the killed one wrote is there");
    assert_eq!(store.ledger().leader.unwrap().instance, "here");
    let waits = leadership.act_from.saturating_sub(before);
    assert!(waits >= LEASE_OF_CHILD, "the old lease is waited for: {waits:?}");
    leadership.wait().await.unwrap();
    assert!(store.lease_left() > Duration::ZERO, "the own lease is kept meanwhile");
    let head = store.commit(&[], &[entry("after")]).await.unwrap();
    world.prove(&head).await;
    store.verify().await.unwrap();
    store.resign(true).await.unwrap();
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_stopped_past_its_lease_writes_nothing_when_it_goes_on() {
    let (world, child) = led_by_child("stopped").await;
    let mut election = world.join().await;
    child.signal("-STOP");
    let leadership = lead(&mut election).await.unwrap();
    let store = &leadership.store;
    leadership.wait().await.unwrap();
    let before = store.commit(&[], &[entry("by the new one")]).await.unwrap();

    child.forget();
    child.signal("-CONT");
    // It may have been stopped in the middle of anything. What it began was done before, is refused, or it does not know.
    let lines = child.lines_until("end ");
    for fault in lines.iter().filter_map(|line| line.strip_prefix("fault ")) {
        assert!(fault == "Fenced" || fault.starts_with("Unavailable"), "{fault}");
    }
    for wrote in lines.iter().filter_map(|line| line.strip_prefix("wrote ")) {
        assert!(wrote.parse::<u64>().unwrap() < before.seq, "{lines:?}");
    }
    // Its lease is over.
    assert!(lines.contains(&"lease at the end 0".to_owned()), "{lines:?}");
    let end = &lines.last().unwrap()["end ".len()..];
    assert!(["Fenced", "Revoked", "Uncertain"].iter().any(|start| end.starts_with(start)), "{end}");

    let head = store.commit(&[], &[entry("still")]).await.unwrap();
    assert_eq!(head.seq, before.seq + 1, "nothing came between");
    assert_eq!(read_ledger(&world.place).await.unwrap(), store.ledger());
    world.prove(&head).await;
    store.verify().await.unwrap();
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_leads_when_nobody_does_and_says_who_does() {
    let (world, mut child) = led_by_child("command").await;
    let refused =
        as_leader(world.place.clone(), Duration::from_secs(3)).await.err().expect("the child leads");
    assert!(matches!(&refused, Fault::Led(who) if who == "child"), "{refused}");
    child.until("wrote ");
    child.kill();

    let (election, leadership) = as_leader(world.place.clone(), LIMIT).await.unwrap();
    assert!(leadership.epoch > 1);
    leadership.store.commit(&[], &[entry("reaped")]).await.unwrap();
    leadership.store.resign(true).await.unwrap();
    election.leave().await;

    // Who said that nothing is under way need not be waited for.
    let (election, leadership) = as_leader(world.place.clone(), LIMIT).await.unwrap();
    assert!(leadership.act_from <= daemon_kit::clock::Clock::monotonic(&*world.clock));
    assert_eq!(leadership.store.ledger().leader.unwrap().lease_ms, 15_000);
    leadership.store.resign(true).await.unwrap();
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_office_that_was_given_up_can_be_taken_again() {
    let world = world("again").await;
    let (mut election, leadership) = world.lead().await;
    leadership.store.resign(false).await.unwrap();
    let leadership = lead(&mut election).await.unwrap();
    assert_eq!(leadership.epoch, 2);
    leadership.store.commit(&[], &[entry("again")]).await.unwrap();
    // Leaving the group ends it.
    let store = leadership.store;
    election.leave().await;
    let ended = || async { Ok(store.end()) };
    wait::until("the end", LIMIT, ended).await.unwrap();
    assert_eq!(store.lease_left(), Duration::ZERO);
}
