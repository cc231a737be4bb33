//! What becomes of a throttle that is held up, or whose client, rule or brokers change.

use std::collections::BTreeMap;
use std::time::Duration;

use super::world::{KEY, MB, World, client, policy, rule, slot_of};
use crate::entity::{Entity, Kind};
use crate::ledger::{Exemption, Pause, Phase};
use crate::policy::{Floor, Limit, Rule};
use crate::quota::Slot;
use crate::step::{Safety, Window};

#[test]
fn steps_that_are_stopped_for_longer_than_the_hold_lasts_end_in_probes() {
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("caught", |world| world.quota("wild").is_some());
    let first = world.quota("wild");
    world.ledger.pause = Some(Pause { since: world.now, by: "me".to_owned(), reason: String::new() });
    let until = world.ledger.holds[&slot_of("wild")].until;
    world.run_until("probed", |world| world.phase("wild") == Some(Phase::Probing));
    assert!(world.now >= until && world.quota("wild") > first);
}

#[test]
fn the_last_percent_of_the_way_is_not_worth_a_write() {
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    let (slot, standing) = (slot_of("wild"), world.quota("wild").unwrap());
    for (share, written) in [(0.995, false), (0.95, true)] {
        let hold = world.ledger.holds.get_mut(&slot).unwrap();
        (hold.phase, hold.target) = (Phase::Cutting, standing * share);
        world.run_until("held again", |world| world.phase("wild") == Some(Phase::Holding));
        assert_eq!(world.quota("wild") < Some(standing), written, "{share}");
    }
}

#[test]
fn a_bound_that_is_not_safe_any_more_is_raised_even_while_all_is_paused() {
    let mut slow = rule();
    slow.limit = Limit::Total(1.5 * MB);
    let mut world = World::new(policy(vec![slow]));
    world.demand("wild", 60.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    let first = world.quota("wild").unwrap();
    world.ledger.pause = Some(Pause { since: world.now, by: "me".to_owned(), reason: String::new() });
    // Somebody learns that it has five times as many connections.
    world.policy.rules[0].burst.connections = 5;
    world.tick();
    let raised = world.quota("wild").unwrap();
    let window = Window::new(11, Duration::from_secs(1));
    let safety = Safety { window, burst: world.policy.rules[0].burst, bound: world.policy.mute };
    assert!(safety.mute(0.0, Some(first), first) > safety.bound);
    assert!(safety.mute(0.0, Some(raised), raised) <= safety.bound, "{raised}");
    // And once more: no bound below what it used is safe.
    world.policy.rules[0].burst.connections = 500;
    world.tick();
    assert_eq!(world.quota("wild"), None);
}

#[test]
fn what_hinders_a_step_hinders_it_once() {
    let mut bounded = rule();
    bounded.limit = Limit::PerBroker(1.0 * MB);
    bounded.floor = Floor { bound: 0.0, times_baseline: Some(0.1) };
    let mut world = World::new(policy(vec![bounded]));
    world.demand("wild", 20.0 * MB);
    let baseline =
        |rate: f64| BTreeMap::from([("greedy".to_owned(), BTreeMap::from([(client("wild"), rate)]))]);
    world.baselines = baseline(1.0 * MB);
    world.run_until("caught", |world| world.quota("wild").is_some());
    world.baselines = baseline(150.0 * MB);
    for _ in 0..60 {
        world.tick();
    }
    world.baselines = baseline(1.0 * MB);
    world.run_until("at its limit", |world| world.quota("wild") <= Some(1.01 * MB));
}

#[test]
fn whom_an_exemption_covers_no_quota_of_its_user_binds() {
    let of_users = Rule { entity: Kind::User, ..rule() };
    for exempt in [Entity::pair("alice", "app1"), Entity::client_id("app1")] {
        let mut world = World::new(policy(vec![of_users.clone()]));
        world.demand("alice/app1", 20.0 * MB);
        let alice = Slot { entity: Entity::user("alice"), key: KEY };
        world.run_until("caught", |world| world.ledger.holds.contains_key(&alice));
        let until = world.now + Duration::from_secs(600);
        let exemption =
            Exemption { entity: exempt.clone(), until, by: "ops".to_owned(), reason: "backfill".to_owned() };
        world.ledger.exemptions.insert(exempt, exemption);
        world.tick();
        assert_eq!(world.snapshot.get(&alice), None);
        while world.now + Duration::from_secs(2) < until {
            world.tick();
            assert_eq!(world.snapshot.get(&alice), None);
        }
        world.run_until("caught again", |world| world.ledger.holds.contains_key(&alice));
    }
}

#[test]
fn no_probe_gives_a_client_more_than_somebody_allows() {
    for learns_of_connections in [false, true] {
        let mut world = World::new(policy(vec![rule()]));
        world.demand("wild", 20.0 * MB);
        world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
        let allowed = world.quota("wild").unwrap() * 1.5;
        let default = Slot { entity: "client-id=<default>".parse().unwrap(), key: KEY };
        world.snapshot.set(default, Some(allowed));
        if learns_of_connections {
            // A safe bound would be some 5 MB/s.
            world.policy.rules[0].burst.connections = 7;
        }
        world.run_until("released", |world| {
            assert!(world.quota("wild").is_none_or(|bound| bound <= allowed), "{:?}", world.quota("wild"));
            world.ledger.holds.is_empty()
        });
    }
}
