//! A quota of a user takes the series of client ids away: their zeros free nobody.

use std::time::Duration;

use super::world::{KEY, MB, World, client, policy, rule, slot_of};
use crate::decide::{Memory, Outcome, State};
use crate::entity::Kind;
use crate::ledger::Phase;
use crate::usage::Unknown;

fn reason<'a>(outcome: &'a Outcome, name: &str) -> Option<&'a Unknown> {
    let verdict = outcome.verdicts.iter().find(|verdict| verdict.entity == Some(client(name)))?;
    match &verdict.state {
        State::Unknown { reason } => Some(reason),
        _ => None,
    }
}

/// A client id is held, with these quotas of users from the start.
fn held(users: &[&str]) -> World {
    let mut world = World::new(policy(vec![rule()]));
    for user in users {
        world.snapshot.set(slot_of(user), Some(1e12));
    }
    world.demand("wild", 20.0 * MB);
    world.demand("good", 1.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    world
}

/// It stays as it is until it expires, and is told as not known from when readings have settled.
fn stays_unknown(mut world: World) {
    let (bound, expires) = (world.quota("wild"), world.ledger.holds[&slot_of("wild")].expires);
    let settled = world.now + Duration::from_secs(20);
    while world.now + Duration::from_secs(2) < expires {
        let outcome = world.tick();
        assert_eq!(world.quota("wild"), bound, "{outcome:?}");
        if world.now > settled {
            assert_eq!(reason(&outcome, "wild"), Some(&Unknown::Vanished));
        }
    }
    world.run_until("expired", |world| world.quota("wild").is_none());
}

/// It is released as calm, long before it expires.
fn is_released(mut world: World) {
    let until = world.ledger.holds[&slot_of("wild")].until;
    world.run_until("released", |world| world.quota("wild").is_none());
    assert!(world.now < until);
}

#[test]
fn who_is_measured_by_user_since_somebody_limited_that_user_has_not_calmed_down() {
    for users in [&[][..], &["alice/"][..], &["alice/", "dave/app"][..]] {
        let mut world = held(users);
        // The runaway is bob's. A sensor of its client id decays, and stays.
        world.snapshot.set(slot_of("bob/"), Some(100.0 * MB));
        world.demand("wild", 0.0);
        world.demand("bob/", 20.0 * MB);
        let outcome = world.tick();
        assert!(matches!(reason(&outcome, "good"), Some(Unknown::Settling { .. })), "{outcome:?}");
        stays_unknown(world);
    }
}

#[test]
fn who_is_seen_under_its_client_id_afterwards_is_released_when_it_calms_down() {
    let mut world = held(&["alice/"]);
    world.snapshot.set(slot_of("bob/"), Some(100.0 * MB));
    let settled = world.now + Duration::from_secs(20);
    world.run_until("settled", |world| world.now > settled);
    assert_eq!(reason(&world.tick(), "wild"), None);
    world.demand("wild", 0.0);
    is_released(world);

    // A low rate is a rate.
    let mut world = held(&["alice/"]);
    world.snapshot.set(slot_of("bob/"), Some(100.0 * MB));
    world.demand("wild", 0.01 * MB);
    is_released(world);
}

#[test]
fn zeros_are_evidence_where_no_user_got_a_quota() {
    for users in [&[][..], &["alice/"][..], &["alice/", "dave/app"][..]] {
        let mut world = held(users);
        world.demand("wild", 0.0);
        is_released(world);
    }
    // Another value moves no series, and what is gone takes none away.
    let mut world = held(&["alice/"]);
    world.snapshot.set(slot_of("alice/"), Some(50.0 * MB));
    world.demand("wild", 0.0);
    assert!(world.tick().verdicts.iter().all(|verdict| !matches!(verdict.state, State::Unknown { .. })));
    is_released(world);
    let mut world = held(&["alice/"]);
    world.snapshot.set(slot_of("bob/"), Some(100.0 * MB));
    world.demand("wild", 0.0);
    for _ in 0..60 {
        world.tick();
    }
    world.snapshot.set(slot_of("alice/"), None);
    world.snapshot.set(slot_of("bob/"), None);
    is_released(world);
}

#[test]
fn a_process_that_starts_does_not_know_what_was_set_before() {
    let mut world = held(&["bob/"]);
    world.memory = Memory::default();
    world.demand("wild", 0.0);
    stays_unknown(world);

    let mut world = held(&["bob/"]);
    world.memory = Memory::default();
    for _ in 0..30 {
        world.tick();
    }
    world.demand("wild", 0.0);
    is_released(world);

    let mut world = held(&[]);
    world.memory = Memory::default();
    world.demand("wild", 0.0);
    is_released(world);
}

#[test]
fn quotas_of_ours_and_rules_for_others_wait_for_nothing() {
    let mut world = held(&["alice/"]);
    world.tick();
    // As a rule for users would hold it.
    let hold = world.ledger.holds[&slot_of("wild")].clone();
    let slot = slot_of("carol/");
    world.ledger.holds.insert(slot.clone(), crate::ledger::Hold { slot: slot.clone(), ..hold });
    world.snapshot.set(slot, world.quota("wild"));
    let outcome = world.tick();
    assert_eq!(reason(&outcome, "good"), None, "{outcome:?}");
    // A human's settles client ids only.
    world.snapshot.set(slot_of("bob/"), Some(100.0 * MB));
    world.tick();
    assert!(world.memory.settled(KEY, Kind::ClientId) > world.now);
    assert!(world.memory.settled(KEY, Kind::User) < world.now);
}
