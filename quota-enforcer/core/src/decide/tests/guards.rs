//! What bounds what is done: caps, floors, who is selected, and rules that only look.

use std::collections::BTreeSet;
use std::time::Duration;

use super::states;
use super::world::{KEY, MB, World, client, policy, rule};
use crate::decide::{Cap, Memory, Outcome, State, Verdict};
use crate::entity::Kind;
use crate::ledger::{Exemption, Phase};
use crate::policy::{Floor, Limit, Mode, Pattern, Rule, Select};
use crate::quota::Slot;
use crate::usage::Unknown;

#[test]
fn a_rule_that_observes_says_whom_it_would_have_caught_and_flags_nobody() {
    let observing = Rule { mode: Mode::Observe, ..rule() };
    let mut world = World::new(policy(vec![observing]));
    world.policy.protected.client_ids.push(Pattern("own".to_owned()));
    world.demand("wild", 20.0 * MB);
    world.demand("own", 20.0 * MB);
    world.demand("good", 1.0 * MB);
    for _ in 0..30 {
        let outcome = world.tick();
        let lesser = |state: &State| matches!(state, State::Over | State::Observed);
        assert!(outcome.verdicts.iter().all(|verdict| lesser(&verdict.state)), "{outcome:?}");
    }
    let outcome = world.tick();
    let observed: Vec<_> = outcome
        .verdicts
        .iter()
        .map(|verdict| {
            (verdict.entity.clone(), verdict.state.name(), verdict.why.contains("would not throttle it"))
        })
        .collect();
    assert_eq!(
        observed,
        [(Some(client("own")), "observed", true), (Some(client("wild")), "observed", false)]
    );
    assert!(outcome.verdicts[0].why.contains("protected by client id `own`"), "{outcome:?}");
    let exemption = Exemption {
        entity: client("wild"),
        until: world.now + Duration::from_secs(60),
        by: "ops".to_owned(),
        reason: "backfill".to_owned(),
    };
    world.ledger.exemptions.insert(client("wild"), exemption);
    assert!(world.tick().verdicts[1].why.contains("would not throttle it: exempted"));

    world.policy.rules[0].mode = Mode::Flag;
    assert_eq!(states(&world.tick(), "greedy").len(), 2);
    world.policy.protected.client_ids.clear();
    world.ledger.exemptions.clear();
    let outcome = world.tick();
    assert_eq!(states(&outcome, "greedy"), ["Flagged", "Flagged"]);
    let would = |verdict: &Verdict| verdict.why.contains("mode enforce would set a bound of");
    assert!(outcome.verdicts.iter().all(would), "{outcome:?}");
}

#[test]
fn who_is_not_selected_any_more_is_released() {
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    let select =
        |pattern: &str| Select { client_ids: vec![Pattern(pattern.to_owned())], ..Select::default() };
    world.policy.rules[0].select = select("wi*");
    world.tick();
    assert!(world.quota("wild").is_some());
    world.policy.rules[0].select = select("other-*");
    let outcome = world.tick();
    assert_eq!(outcome.acts[0].why, "its rule does not select it any more");
    assert_eq!((world.quota("wild"), world.ledger.holds.len()), (None, 0));
}

/// Ten clients, of which some go wild at once.
fn crowd(wild: usize, change: impl Fn(&mut World)) -> (World, Outcome) {
    let mut world = World::new(policy(vec![rule()]));
    change(&mut world);
    for number in 0..10 {
        world.demand(&format!("c{number}"), if number < wild { 20.0 * MB } else { 1.0 * MB });
    }
    let mut outcome = Outcome::default();
    for _ in 0..4 {
        outcome = world.tick();
        if !outcome.acts.is_empty() || !outcome.capped.is_empty() {
            break;
        }
    }
    (world, outcome)
}

fn held(world: &World) -> usize {
    world.ledger.holds.len()
}

#[test]
fn no_more_than_a_share_of_the_clients_is_throttled_and_one_always_is() {
    let third = |world: &mut World| world.policy.caps.share_of_clients = 0.3;
    let (world, outcome) = crowd(3, third);
    assert_eq!((held(&world), outcome.capped), (3, vec![]));
    let (world, outcome) = crowd(4, third);
    assert_eq!((held(&world), outcome.capped.clone()), (0, vec![Cap::ShareOfClients]));
    assert!(states(&outcome, "greedy").iter().all(|state| state.contains("ShareOfClients")), "{outcome:?}");
    let (world, outcome) = crowd(1, |world| world.policy.caps.share_of_clients = 0.01);
    assert_eq!((held(&world), outcome.capped), (1, vec![]));

    // Those that are held already count.
    let (mut world, _) = crowd(3, third);
    world.demand("c9", 20.0 * MB);
    for _ in 0..30 {
        world.tick();
        assert_eq!(world.quota("c9"), None);
    }
    assert_eq!(world.tick().capped, [Cap::ShareOfClients]);
}

#[test]
fn no_more_than_a_share_of_the_traffic_is_throttled() {
    // One of 20 MB/s, nine of 1 MB/s: 69 %.
    let (world, outcome) = crowd(1, |world| world.policy.caps.share_of_traffic = 0.7);
    assert_eq!((held(&world), outcome.capped), (1, vec![]));
    let (world, outcome) = crowd(1, |world| world.policy.caps.share_of_traffic = 0.65);
    assert_eq!((held(&world), outcome.capped), (0, vec![Cap::ShareOfTraffic]));
    // One reading that is no number makes the total, and so every share of it, unknown.
    let (mut world, _) = crowd(0, |_| {});
    world.demand("c9", f64::NAN);
    world.demand("c0", 20.0 * MB);
    for _ in 0..30 {
        world.tick();
        assert_eq!(held(&world), 0);
    }
    // That is no page about a cap: nobody knows whether one is reached, and the rule as a whole says so.
    let outcome = world.tick();
    assert_eq!(outcome.capped, []);
    let unknown = |entity: Option<&str>| {
        let of = |verdict: &&Verdict| verdict.entity == entity.map(client);
        let states: Vec<_> =
            outcome.verdicts.iter().filter(of).map(|verdict| verdict.state.clone()).collect();
        assert_eq!(states, [State::Unknown { reason: Unknown::NotANumber { broker: 1 } }], "{outcome:?}");
    };
    unknown(Some("c0"));
    unknown(None);
    // Who is held counts with all brokers: 20 of 28 MB/s, and another 20 of what then are some 33.
    let (mut world, _) = crowd(1, |world| world.policy.caps.share_of_traffic = 0.95);
    assert_eq!(held(&world), 1);
    world.demand("c1", 20.0 * MB);
    let mut capped = false;
    for _ in 0..30 {
        capped |= world.tick().capped == [Cap::ShareOfTraffic];
        assert_eq!(held(&world), 1);
    }
    assert!(capped);
}

#[test]
fn no_more_than_so_many_quotas_are_tightened_in_a_minute() {
    let few = |world: &mut World| world.policy.caps.changes_per_minute = 2;
    let (world, outcome) = crowd(3, few);
    assert_eq!((held(&world), outcome.capped), (0, vec![Cap::ChangesPerMinute]));

    let (mut world, outcome) = crowd(2, few);
    assert_eq!((held(&world), outcome.capped), (2, vec![]));
    let first = (world.quota("c0"), world.now);
    // The steps that follow wait, and so does everybody else.
    world.demand("c2", 20.0 * MB);
    let mut waited = false;
    while world.now + Duration::from_secs(1) < first.1 + Duration::from_secs(60) {
        waited |= world.tick().capped == [Cap::ChangesPerMinute];
        assert_eq!((world.quota("c0"), world.quota("c2")), (first.0, None));
    }
    assert!(waited);
    world.run_until("the next step", |world| world.quota("c0") < first.0);
}

#[test]
fn a_quota_that_could_not_be_set_is_no_change() {
    let (mut world, outcome) = crowd(2, |world| {
        world.policy.caps.changes_per_minute = 2;
        world.refuses = true;
    });
    assert_eq!((outcome.acts.len(), held(&world)), (2, 0));
    for _ in 0..30 {
        let outcome = world.tick();
        assert_eq!((outcome.acts.len(), outcome.capped), (2, vec![]));
    }
    // It may or may not be set: it counts.
    let mut open = world.tick().acts[0].hold.clone();
    open.slot.entity = client("gone");
    world.ledger.holds.insert(open.slot.clone(), open);
    assert_eq!(world.tick().capped, [Cap::ChangesPerMinute]);
    world.ledger.holds.clear();
    world.refuses = false;
    world.tick();
    assert_eq!(held(&world), 2);
}

#[test]
fn the_changes_of_a_leader_before_count_and_a_raised_bound_does_not() {
    let (mut world, _) = crowd(2, |world| world.policy.caps.changes_per_minute = 2);
    let caught = world.now;
    world.memory = Memory::default();
    world.demand("c2", 20.0 * MB);
    let mut capped = false;
    while world.now + Duration::from_secs(1) < caught + Duration::from_secs(60) {
        capped |= world.tick().capped == [Cap::ChangesPerMinute];
        assert_eq!(world.quota("c2"), None);
    }
    assert!(capped);

    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("probed", |world| world.phase("wild") == Some(Phase::Probing));
    world.tick();
    assert_eq!(world.memory.changes.count(), 0);
    world.run_until("cut again", |world| {
        let hold = world.ledger.holds.values().next().unwrap();
        hold.phase == Phase::Cutting && hold.written.unwrap() == world.now
    });
    world.tick();
    assert_eq!(world.memory.changes.count(), 1);
}

/// Floors that a baseline of `baseline` over all brokers makes, for a client that demands 20 MB/s and would get 0.9 MB/s.
fn spared(baseline: Option<f64>) -> World {
    let floor = Floor { bound: 0.1 * MB, times_baseline: Some(1.5) };
    let mut world = World::new(policy(vec![Rule { limit: Limit::PerBroker(0.9 * MB), floor, ..rule() }]));
    world.baselines.entry("greedy".to_owned()).or_default().extend(baseline.map(|own| (client("wild"), own)));
    world.demand("wild", 20.0 * MB);
    world
}

#[test]
fn a_client_keeps_a_multiple_of_its_baseline() {
    let mut world = spared(Some(4.0 * MB));
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    // 1.5 × 4 MB/s over three brokers.
    assert!((world.quota("wild").unwrap() - 2.0 * MB).abs() <= 1.0, "{:?}", world.quota("wild"));

    // The other floors are higher: the rule's own, and what is safe with its bursts.
    let mut world = spared(Some(0.1 * MB));
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    assert!(world.quota("wild").unwrap() >= 0.9 * MB);

    // All that it uses lies within its floor.
    let mut world = spared(Some(14.0 * MB));
    for _ in 0..30 {
        assert!(world.tick().acts.is_empty());
    }
    let outcome = world.tick();
    assert_eq!(outcome.verdicts[0].why, "any bound below its rate is below its floor");
    let text = serde_json::to_string(&outcome.verdicts).unwrap();
    assert_eq!(serde_json::from_str::<Vec<crate::decide::Verdict>>(&text).unwrap(), outcome.verdicts);
}

#[test]
fn without_a_baseline_for_its_floor_a_client_is_not_tightened_further() {
    let mut world = spared(None);
    for _ in 0..30 {
        assert!(world.tick().acts.is_empty());
    }
    assert!(states(&world.tick(), "greedy").iter().all(|state| state.contains("baseline")));

    let mut world = spared(Some(4.0 * MB));
    world.run_until("caught", |world| world.quota("wild").is_some());
    let first = world.quota("wild");
    world.baselines.clear();
    for _ in 0..60 {
        world.tick();
        assert_eq!(world.quota("wild"), first);
    }
    world.baselines = spared(Some(4.0 * MB)).baselines;
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    assert!(world.quota("wild") < first);
    // Baselines grow, and what was held is not cut again below the new floor.
    let bound = world.quota("wild");
    world.baselines = spared(Some(40.0 * MB)).baselines;
    world.run_until("probed", |world| world.phase("wild") == Some(Phase::Probing));
    world.run_until("over again", |world| world.phase("wild") != Some(Phase::Probing));
    assert!(world.ledger.holds.values().all(|hold| hold.target.is_finite()));
    assert!(world.quota("wild") > bound);
}

#[test]
fn many_holds_of_one_incident_are_not_probed_at_once() {
    let mut world = World::new(policy(vec![rule()]));
    world.policy.caps.throttles = 50;
    world.policy.caps.share_of_clients = 1.0;
    world.policy.caps.changes_per_minute = 10_000;
    for number in 0..40 {
        world.demand(&format!("wild-{number}"), 20.0 * MB);
    }
    world.demand("good", 1.0 * MB);
    world.run_until("caught", |world| held(world) == 40);
    let probed: BTreeSet<i64> = world.ledger.holds.values().map(|hold| hold.until.0 / 1000).collect();
    let (first, last) = (probed.first().unwrap(), probed.last().unwrap());
    assert!(last - first >= 20 && probed.len() >= 15, "{probed:?}");
}

#[test]
fn a_stricter_quota_of_somebody_that_ours_would_outrank_ends_ours() {
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    let ours = world.quota("wild").unwrap();
    let default = Slot { entity: "client-id=<default>".parse().unwrap(), key: KEY };
    world.snapshot.set(default.clone(), Some(ours * 2.0));
    world.tick();
    assert_eq!(world.quota("wild"), Some(ours), "that is no stricter");
    world.snapshot.set(default.clone(), Some(ours / 2.0));
    let outcome = world.tick();
    assert!(outcome.acts[0].why.contains("it would give client-id=wild more than"), "{outcome:?}");
    assert_eq!((world.quota("wild"), world.ledger.holds.len()), (None, 0));
    assert_eq!(world.snapshot.get(&default), Some(ours / 2.0));
}

#[test]
fn a_shared_limit_of_somebody_ends_a_hold_on_a_pair_only_if_it_is_stricter() {
    let mut world = World::new(policy(vec![Rule { entity: Kind::Pair, ..rule() }]));
    world.demand("alice/wild", 20.0 * MB);
    world.demand("bob/good", 1.0 * MB);
    world.run_until("held", |world| world.phase("alice/wild") == Some(Phase::Holding));
    let ours = world.quota("alice/wild").unwrap();
    for shared in ["user=<default>", "user=alice", "client-id=wild"] {
        let shared = Slot { entity: shared.parse().unwrap(), key: KEY };
        for looser in [50.0 * MB, ours] {
            world.snapshot.set(shared.clone(), Some(looser));
            for _ in 0..20 {
                world.tick();
                assert_eq!(world.quota("alice/wild"), Some(ours), "{} {looser}", shared.entity);
            }
        }
        world.snapshot.set(shared, None);
    }
    world.snapshot.set(Slot { entity: "user=<default>".parse().unwrap(), key: KEY }, Some(ours / 2.0));
    let outcome = world.tick();
    assert!(
        outcome.acts[0].why.contains("it would take user=alice,client-id=wild out of the limit"),
        "{outcome:?}"
    );
    assert_eq!((world.quota("alice/wild"), world.ledger.holds.len()), (None, 0));
}

#[test]
fn what_was_above_a_bound_before_nothing_was_known_is_no_evidence_after_it() {
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    for _ in 0..3 {
        world.deaf = true;
        for _ in 0..6 {
            world.tick();
        }
        world.blind = true;
        for _ in 0..15 {
            world.tick();
        }
        world.blind = false;
        for _ in 0..6 {
            world.tick();
            assert!(world.ledger.holds.values().all(|hold| hold.ineffective.is_none()));
        }
        world.deaf = false;
        world.tick();
    }
}

#[test]
fn a_bound_is_without_effect_only_when_rates_stay_above_it_for_a_window() {
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    let ineffective = |world: &World| world.ledger.holds.values().any(|hold| hold.ineffective.is_some());
    for _ in 0..3 {
        world.deaf = true;
        for _ in 0..10 {
            world.tick();
            assert!(!ineffective(&world), "a window is twelve seconds");
        }
        world.deaf = false;
        world.tick();
    }
    world.deaf = true;
    world.run_until("ineffective", ineffective);
}
