//! Defaults that make clients measurable.

use super::states;
use super::world::{KEY, MB, World, policy, rule};
use crate::decide::Act;
use crate::quota::Slot;

fn default() -> Slot {
    Slot { entity: "client-id=<default>".parse().unwrap(), key: KEY }
}

fn without_series() -> World {
    let mut world = World::new(policy(vec![rule()]));
    world.only_with_quota = true;
    world.demand("wild", 20.0 * MB);
    world
}

#[test]
fn without_series_a_sentinel_makes_clients_measurable_if_the_rule_allows_it() {
    let mut world = without_series();
    for _ in 0..30 {
        assert!(world.tick().acts.is_empty());
    }
    assert!(states(&world.tick(), "greedy")[0].contains("NoSeries"));

    world.policy.rules[0].sentinel = Some(1e12);
    world.run_until("sentinel", |world| world.snapshot.get(&default()) == Some(1e12));
    world.run_until("caught", |world| world.quota("wild").is_some());
    // Gone with the rule's wish, and with it everything of ours.
    world.policy.rules.clear();
    world.run_until("clean", |world| world.snapshot.is_empty() && world.ledger.holds.is_empty());
}

#[test]
fn another_value_takes_the_place_of_the_one_that_stands() {
    let mut world = without_series();
    world.policy.rules[0].sentinel = Some(1e12);
    world.run_until("caught", |world| world.quota("wild").is_some());
    world.policy.rules[0].sentinel = Some(2e12);
    // Not when the new one could not be set.
    world.blockers.push("the clock jumped".to_owned());
    let outcome = world.tick();
    assert_eq!(world.snapshot.get(&default()), Some(1e12));
    let why = "its rule asks for 2000.00 GB/s instead, but the clock jumped";
    assert!(outcome.verdicts.iter().any(|verdict| verdict.why == why), "{outcome:?}");
    world.blockers.clear();
    let outcome = world.tick();
    assert_eq!(outcome.acts[0].why, "its rule asks for 2000.00 GB/s instead");
    world.tick();
    assert_eq!(world.snapshot.get(&default()), Some(2e12));
    assert!(world.tick().acts.is_empty() && world.quota("wild").is_some());

    // The first rule that wants one has its way.
    let mut other = rule();
    (other.name, other.sentinel) = ("other".to_owned(), Some(3e12));
    world.policy.rules.push(other);
    for _ in 0..10 {
        assert!(world.tick().acts.is_empty());
    }
}

#[test]
fn a_sentinel_is_whole_bytes_and_stays() {
    let mut world = without_series();
    // 1.1 TiB/s.
    world.policy.rules[0].sentinel = Some(1.1 * 1024f64.powi(4));
    let mut other = rule();
    (other.name, other.sentinel) = ("other".to_owned(), Some(1e12));
    world.policy.rules.push(other);
    world.run_until("set", |world| world.snapshot.get(&default()).is_some());
    let of_default = |act: &Act| act.hold.slot == default();
    for _ in 0..60 {
        assert!(!world.tick().acts.iter().any(of_default));
        assert_eq!(world.snapshot.get(&default()), Some(1_209_462_790_553.0));
    }
}
