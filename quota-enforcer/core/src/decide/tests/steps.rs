//! How far bounds go down, what keeps them from it, and what is recorded of that.

use super::world::{MB, World, policy, rule};
use crate::decide::{Block, Outcome, State};
use crate::policy::{Confirm, Rule};

/// What keeps the only client that is over from being throttled, and how that is said.
fn blocked(outcome: &Outcome) -> Option<(&Block, &str)> {
    let [verdict] = outcome.verdicts.as_slice() else { return None };
    match &verdict.state {
        State::Blocked { by } => Some((by, &verdict.why)),
        _ => None,
    }
}

fn at_once() -> Rule {
    Rule { confirm: Confirm { k: 1, n: 1 }, ..rule() }
}

#[test]
fn who_grows_is_told_to_grow_and_is_cut_when_it_does_no_more() {
    let mut world = World::new(policy(vec![at_once()]));
    let mut rate = 60.0 * MB;
    for _ in 0..10 {
        rate *= 1.5;
        world.demand("wild", rate);
        let outcome = world.tick();
        let (by, why) = blocked(&outcome).unwrap();
        assert_eq!(by, &Block::Rising { mute_ms: 10_000 });
        let said = "it still grows: no bound below its rate is sure to keep pauses within 10 s; it is cut when the growth slows";
        assert_eq!(why, said);
    }
    world.tick();
    assert!(world.quota("wild").is_some(), "the growth is over");
}

#[test]
fn who_was_faster_a_moment_ago_is_told_so_and_is_cut_later() {
    let mut world = World::new(policy(vec![at_once()]));
    world.demand("wild", 60.0 * MB);
    world.lately = 3.0;
    for _ in 0..10 {
        let outcome = world.tick();
        assert!(blocked(&outcome).is_some_and(|(_, why)| !why.contains("the lowest is")), "{outcome:?}");
    }
    let outcome = world.tick();
    assert_eq!(blocked(&outcome).unwrap().0, &Block::Falling { mute_ms: 10_000 });
    world.lately = 1.0;
    world.tick();
    assert!(world.quota("wild").is_some());
}

#[test]
fn only_who_is_below_the_safe_floor_is_told_of_it() {
    let mut world = World::new(policy(vec![at_once()]));
    world.policy.rules[0].burst.connections = 20;
    world.demand("wild", 20.0 * MB);
    for _ in 0..10 {
        let outcome = world.tick();
        let (by, why) = blocked(&outcome).unwrap();
        let Block::Floor { floor: Some(floor) } = by else { panic!("{by:?}") };
        assert!(*floor > 20.0 * MB / 3.0 && why.contains("the lowest is"), "{why}");
    }
}
