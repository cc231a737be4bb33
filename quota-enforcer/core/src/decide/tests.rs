//! A small cluster that obeys its quotas, and the decisions about it.

mod guards;
mod holds;
mod named;
mod nameless;
mod samples;
mod sentinels;
mod steps;
mod unknown;
mod world;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::entity::Kind;
use crate::ledger::{Exemption, Intent, Pause, Phase, Purpose};
use crate::policy::{BudgetGuard, Confirm, Limit, Measure, Mode, Pattern};
use world::{KEY, MB, World, client, policy, rule, slot_of};

fn states(tick: &Outcome, rule: &str) -> Vec<String> {
    let of_rule = tick.verdicts.iter().filter(|verdict| verdict.rule == rule);
    of_rule.map(|verdict| format!("{:?}", verdict.state)).collect()
}

/// Brokers are scraped all at once, or one after the other.
const WORLDS: [fn(Policy) -> World; 2] = [World::new, World::spread];

#[test]
fn an_abuser_is_cut_in_steps_held_and_released_to_what_was_before() {
    for world in WORLDS {
        cut_held_and_released(world(policy(vec![rule()])));
    }
}

fn cut_held_and_released(mut world: World) {
    world.demand("wild", 20.0 * MB);
    world.demand("good", 1.0 * MB);
    world.run_until("caught", |world| world.quota("wild").is_some());
    let first = world.quota("wild").unwrap();
    assert!(first > 2.0 * MB, "the first step is not the last: {first}");

    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    let bound = world.quota("wild").unwrap();
    // Three brokers share the limit of 6 MB/s.
    assert!((bound - 2.0 * MB).abs() < 1.0, "{bound}");
    assert!(world.quota("good").is_none());

    world.demand("wild", 1.0 * MB);
    world.run_until("released", |world| world.quota("wild").is_none());
    assert!(world.ledger.holds.is_empty());
    assert_eq!(world.ledger.offences.values().next().unwrap().count, 1);

    let held_first = Duration::from_secs(300);
    world.demand("wild", 20.0 * MB);
    world.run_until("caught again", |world| world.quota("wild").is_some());
    let hold = world.ledger.holds.values().next().unwrap();
    let held = hold.until.since(hold.since);
    assert_eq!(hold.offence, 2);
    assert!((2 * held_first..=2 * held_first.mul_f64(1.1)).contains(&held), "{held:?}");
}

#[test]
fn a_pause_or_a_doubt_stops_steps_that_are_under_way() {
    let pause: fn(&mut World) = |world| {
        world.ledger.pause = Some(Pause { since: world.now, by: "me".to_owned(), reason: String::new() })
    };
    let doubt: fn(&mut World) = |world| world.blockers.push("the clock jumped".to_owned());
    for stop in [pause, doubt] {
        let mut world = World::new(policy(vec![rule()]));
        world.demand("wild", 20.0 * MB);
        world.run_until("caught", |world| world.quota("wild").is_some());
        let first = world.quota("wild");
        stop(&mut world);
        for _ in 0..60 {
            world.tick();
            assert_eq!(world.quota("wild"), first);
        }
        world.ledger.pause = None;
        world.blockers.clear();
        world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
        assert!(world.quota("wild") < first);
    }
}

#[test]
fn several_defaults_that_stay_unsettle_nothing() {
    let mut world = World::new(policy(vec![rule()]));
    for entity in [Kind::User, Kind::ClientId, Kind::Pair].map(Entity::default_of) {
        world.snapshot.set(Slot { entity, key: KEY }, Some(1e12));
    }
    world.demand("wild", 1.0 * MB);
    for _ in 0..60 {
        assert!(world.tick().verdicts.is_empty());
    }
}

#[test]
fn one_quiet_sample_frees_nobody() {
    let could_be_released = |world: &World| world.now > world.ledger.holds[&slot_of("wild")].earliest;
    let is_over =
        |world: &World| world.now + Duration::from_secs(2) > world.ledger.holds[&slot_of("wild")].until;
    let is_probed = |world: &World| {
        world.phase("wild") == Some(Phase::Probing) && world.ledger.holds[&slot_of("wild")].verified.is_some()
    };
    for when in [could_be_released as fn(&World) -> bool, is_over, is_probed] {
        let mut world = World::new(policy(vec![rule()]));
        world.demand("wild", 20.0 * MB);
        world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
        world.run_until("then", when);
        // It stalls, or a broker came back with empty counters.
        world.demand("wild", 0.1 * MB);
        world.tick();
        world.demand("wild", 20.0 * MB);
        for _ in 0..10 {
            world.tick();
            assert!(world.quota("wild").is_some());
        }
    }
}

#[test]
fn who_goes_on_is_probed_caught_and_held_longer() {
    for world in WORLDS {
        let mut world = world(policy(vec![rule()]));
        world.demand("wild", 20.0 * MB);
        world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
        world.run_until("probed", |world| world.phase("wild") == Some(Phase::Probing));
        world.run_until("cut again", |world| world.phase("wild") == Some(Phase::Cutting));
        assert_eq!(world.ledger.holds.values().next().unwrap().offence, 2);
        // Whatever happens, it ends.
        world.run_until("expired", |world| world.ledger.holds.is_empty() && world.quota("wild").is_none());
    }
}

#[test]
fn a_write_under_way_is_told_with_its_value_and_its_time() {
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    let mut told = |to| {
        let hold = world.ledger.holds.values_mut().next().unwrap();
        hold.intent = Some(Intent::new(hold.ours, to, Timestamp(1_700_000_000_000)));
        world.tick().verdicts[0].why.clone()
    };
    assert_eq!(told(Some(1.5 * MB)), "a write of 1.50 MB/s is being read back since 2023-11-14 22:13:20Z");
    assert_eq!(told(None), "the removal of the quota is being read back since 2023-11-14 22:13:20Z");
    world.ledger.holds.values_mut().next().unwrap().intent.as_mut().unwrap().unanswered = true;
    let why = world.tick().verdicts[0].why.clone();
    assert!(why.starts_with("the removal of the quota at 2023-11-14 22:13:20Z was not answered"), "{why}");
}

#[test]
fn one_more_throttle_at_a_level_in_use_relabels_nobody_else() {
    let mut world = World::new(policy(vec![rule()]));
    world.snapshot.set(slot_of("other"), Some(1e12));
    world.demand("wild", 20.0 * MB);
    world.demand("good", 1.0 * MB);
    world.run_until("caught", |world| world.quota("wild").is_some());
    for _ in 0..30 {
        let outcome = world.tick();
        assert!(outcome.verdicts.iter().all(|verdict| verdict.entity == Some(client("wild"))), "{outcome:?}");
    }
}

#[test]
fn thousand_abusers_at_once_are_a_page_and_nothing_else() {
    let mut world = World::new(policy(vec![rule()]));
    for number in 0..1000 {
        world.demand(&format!("wild-{number}"), 20.0 * MB);
    }
    for _ in 0..60 {
        let outcome = world.tick();
        assert!(outcome.acts.is_empty());
    }
    let outcome = world.tick();
    assert_eq!(outcome.capped, [Cap::Throttles]);
    assert_eq!(outcome.verdicts.len(), 1000);
}

#[test]
fn what_a_human_sets_stays() {
    // Before: nothing is written where a value stands.
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.snapshot.set(slot_of("wild"), Some(15.0 * MB));
    for _ in 0..60 {
        assert!(world.tick().acts.is_empty());
    }
    assert!(states(&world.tick(), "greedy")[0].contains("that is not ours stands there"));

    // In between: hands off, until it expires.
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    world.snapshot.set(slot_of("wild"), Some(7.0 * MB));
    world.run_until("lost", |world| world.phase("wild") == Some(Phase::Lost));
    world.run_until("forgotten", |world| world.ledger.holds.is_empty());
    assert_eq!(world.quota("wild"), Some(7.0 * MB));
}

#[test]
fn a_human_who_removes_our_quota_frees_the_client() {
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    world.snapshot.set(slot_of("wild"), None);
    for _ in 0..200 {
        world.tick();
        assert_eq!(world.quota("wild"), None);
    }
    assert_eq!(world.phase("wild"), Some(Phase::Lost));
}

#[test]
fn a_relabelling_write_of_somebody_makes_everything_unknown_and_frees_nobody() {
    let gone: fn(&mut World) = |world| world.hidden = true;
    // As Kafka does, for an hour.
    let zero: fn(&mut World) = |world| world.moved = true;
    for silence in [gone, zero] {
        let mut world = World::new(policy(vec![rule()]));
        world.demand("wild", 20.0 * MB);
        world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
        // Somebody gives users a default: every series moves to user labels, and the ones by client id fall silent.
        world.snapshot.set(Slot { entity: "user=<default>".parse().unwrap(), key: KEY }, Some(1e12));
        silence(&mut world);
        let expires = world.ledger.holds[&slot_of("wild")].expires;
        while world.now + Duration::from_secs(2) < expires {
            let outcome = world.tick();
            assert!(world.quota("wild").is_some(), "{outcome:?}");
        }
        let outcome = world.tick();
        let states = states(&outcome, "greedy");
        assert_eq!(states.len(), 2, "the client and the rule: {outcome:?}");
        assert!(states.iter().all(|state| state.contains("Unknown")), "{outcome:?}");
    }
}

#[test]
fn pause_exemption_protection_and_budget_keep_hands_off() {
    let caught = |change: &dyn Fn(&mut World)| {
        let mut world = World::new(policy(vec![rule()]));
        world.demand("wild", 20.0 * MB);
        change(&mut world);
        for _ in 0..60 {
            world.tick();
        }
        (world.quota("wild").is_some(), states(&world.tick(), "greedy").join(" "))
    };
    assert!(caught(&|_| {}).0);
    let paused = caught(&|world| {
        world.ledger.pause =
            Some(Pause { since: world.now, by: "ops".to_owned(), reason: "upgrade".to_owned() });
    });
    assert!(!paused.0 && paused.1.contains("Paused"), "{paused:?}");
    let exempt = caught(&|world| {
        let exemption = Exemption {
            entity: client("wild"),
            until: world.now + Duration::from_secs(3600),
            by: "ops".to_owned(),
            reason: "backfill".to_owned(),
        };
        world.ledger.exemptions.insert(client("wild"), exemption);
    });
    assert!(!exempt.0 && exempt.1.contains("Exempt"), "{exempt:?}");
    let protected = caught(&|world| world.policy.protected.client_ids.push(Pattern("wi*".to_owned())));
    assert!(!protected.0 && protected.1.contains("Protected"), "{protected:?}");
    let guard = |burn: Option<f64>| {
        caught(&move |world: &mut World| {
            world.policy.rules[0].when = Some(BudgetGuard { slo: "latency".to_owned(), burn: 6.0 });
            world.burns.extend(burn.map(|burn| ("latency".to_owned(), burn)));
        })
    };
    assert!(guard(Some(7.0)).0);
    assert!(!guard(Some(5.0)).0);
    let unknown = guard(None);
    assert!(!unknown.0 && unknown.1.contains("Unknown"), "{unknown:?}");
    assert!(!guard(Some(f64::NAN)).0);
    let blocked = caught(&|world| world.blockers.push("not the leader".to_owned()));
    assert!(!blocked.0 && blocked.1.contains("not the leader"), "{blocked:?}");
}

#[test]
fn a_bound_that_does_not_bite_is_said_once_and_kept() {
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.deaf = true;
    world
        .run_until("ineffective", |world| world.ledger.holds.values().any(|hold| hold.ineffective.is_some()));
    let said = world.ledger.holds.values().next().unwrap().ineffective;
    let bound = world.quota("wild");
    for _ in 0..30 {
        world.tick();
    }
    assert_eq!(world.ledger.holds.values().next().unwrap().ineffective, said);
    assert_eq!(world.quota("wild"), bound, "no further step while the last one does not bite");
}

#[test]
fn a_blind_enforcer_keeps_what_is_held_until_it_expires() {
    let mut world = World::new(policy(vec![rule()]));
    world.demand("wild", 20.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    let (bound, expires) = (world.quota("wild"), world.ledger.holds.values().next().unwrap().expires);
    world.blind = true;
    while world.now + Duration::from_secs(2) < expires {
        world.tick();
        assert_eq!(world.quota("wild"), bound);
    }
    world.run_until("expired", |world| world.quota("wild").is_none());
}

/// Rates as exporters and networks may serve them.
fn rate() -> impl Strategy<Value = f64> {
    prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(0.0), 0.0..50.0 * MB]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is seen: a write expects in its slot just what is ours there or nothing, and it never goes below the floor. That
    /// steps keep pauses within the bound is shown where they are taken, against a broker's sensor.
    #[test]
    fn writes_are_ours_safe_and_bounded(
        world in prop::sample::select(&WORLDS),
        seed in prop::collection::vec((0..4usize, rate(), 0..6u8), 1..120),
    ) {
        let mut world = world(policy(vec![rule()]));
        world.demand("good", 1.0 * MB);
        for (who, rate, event) in seed {
            let name = format!("client-{who}");
            match event {
                0 => { world.snapshot.set(slot_of(&name), Some(30.0 * MB)); }
                1 => { world.snapshot.set(slot_of(&name), None); }
                2 => world.blind = !world.blind,
                _ => world.demand(&name, rate),
            }
            for _ in 0..8 {
                let before = world.snapshot.clone();
                let held = world.ledger.clone();
                let outcome = world.tick();
                for act in outcome.acts.iter().filter(|act| !act.forget) {
                    let Some(intent) = act.hold.intent else { continue };
                    let ours = held.holds.get(&act.hold.slot).and_then(|hold| hold.ours);
                    prop_assert!(crate::quota::same(intent.from, ours));
                    prop_assert!(crate::quota::same(before.get(&act.hold.slot), ours) || ours.is_none());
                    if ours.is_none() {
                        prop_assert_eq!(before.get(&act.hold.slot), None);
                    }
                    if let Some(to) = intent.to {
                        prop_assert!(to >= world.policy.rules[0].floor.bound);
                        prop_assert!(act.hold.purpose == Purpose::Throttle);
                    }
                }
            }
        }
    }

    /// Observe writes nothing, flag neither.
    #[test]
    fn lesser_modes_write_nothing(
        mode in prop_oneof![Just(Mode::Observe), Just(Mode::Flag)],
        rates in prop::collection::vec(rate(), 1..30),
        measure in prop_oneof![Just(Measure::Total), Just(Measure::WorstBroker), Just(Measure::ShareOfCluster), Just(Measure::ShareOfBroker)],
    ) {
        let mut world = World::new(policy(vec![Rule { mode, measure, ..rule() }]));
        for rate in rates {
            world.demand("wild", rate);
            for _ in 0..10 {
                prop_assert!(world.tick().acts.is_empty());
            }
        }
    }

    /// Too little is known: nothing is tightened.
    #[test]
    fn unknown_never_tightens(missing in 0..4u8, k in 1..4u32) {
        let confirm = Confirm { k, n: 4 };
        let mut world = World::new(policy(vec![Rule { confirm, limit: Limit::PerBroker(MB), ..rule() }]));
        world.demand("wild", 20.0 * MB);
        match missing {
            0 => world.blind = true,
            1 => world.unscraped.push(2),
            2 => world.no_snapshot = true,
            _ => world.demand("wild", f64::NAN),
        }
        for _ in 0..100 {
            prop_assert!(!world.tick().acts.iter().any(Act::tightens));
        }
    }
}
