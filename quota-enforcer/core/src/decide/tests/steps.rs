//! How far bounds go down, what keeps them from it, and what is recorded of that.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::WORLDS;
use super::world::{KEY, MB, World, policy, rule};
use crate::audit::{Entry, Event};
use crate::decide::{Act, Block, Outcome, State};
use crate::ledger::Phase;
use crate::policy::{Burst, Confirm, Floor, Limit, Rule};
use crate::step::{Safety, Step, Window, next};
use crate::time::Timestamp;

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

/// As `audit export` prints it and somebody reads it back.
fn recorded(act: &Act) -> Entry {
    let entry = Entry {
        at: act.hold.intent.unwrap().at,
        event: act.event,
        by: "rule greedy".to_owned(),
        slot: Some(act.hold.slot.clone()),
        before: act.hold.intent.unwrap().from,
        after: act.hold.intent.unwrap().to,
        why: act.why.clone(),
        evidence: act.evidence.clone(),
        policy: act.hold.policy.clone(),
    };
    serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap()
}

/// The step that a record's evidence leads to.
fn computed(evidence: &Value) -> Step {
    let number = |name: &str| evidence[name].as_f64().unwrap_or_else(|| panic!("{name} in {evidence}"));
    let time = |name: &str| Duration::from_millis(evidence[name].as_u64().unwrap());
    let window = Window { longest: time("longest_window_ms"), shortest: time("shortest_window_ms") };
    let burst = Burst { connections: 1, request_bytes: number("burst_bytes") };
    let safety = Safety { window, burst, bound: time("mute_bound_ms") };
    let standing = evidence["bound"].as_f64();
    next(number("peak"), standing, number("target"), number("floor"), &safety, KEY).unwrap()
}

#[test]
fn each_step_can_be_computed_again_from_its_record() {
    let floor = Floor { bound: 0.1 * MB, times_baseline: None };
    let burst = Burst { connections: 3, request_bytes: 0.25 * MB };
    let limit = Limit::Total(0.5 * MB);
    for world in WORLDS {
        let mut world = world(policy(vec![Rule { floor, burst, limit, ..rule() }]));
        world.demand("wild", 19.0 * MB);
        world.run_until("over", |world| world.now.0 > 1_000_000 + 30_000);
        // It grew between the last two samples.
        world.demand("wild", 20.0 * MB);
        let mut steps = 0;
        while world.phase("wild") != Some(Phase::Holding) {
            for act in world.tick().acts.iter().filter(|act| act.tightens()) {
                let entry = recorded(act);
                let step = computed(&entry.evidence);
                assert!((step.to - entry.after.unwrap()).abs() <= 1.0, "{step:?} {entry:?}");
                assert_eq!(step.mute.as_millis(), u128::from(entry.evidence["mute_ms"].as_u64().unwrap()));
                assert!(entry.event == Event::Intent && entry.evidence["bound"].as_f64() == entry.before);
                steps += 1;
            }
        }
        assert!(steps > 4, "{steps}");
    }
}

/// A cut that was made.
#[derive(Debug)]
struct Cut {
    from: f64,
    to: f64,
    /// The largest that is safe for a client that its bound holds.
    at_rest: Step,
    after: Duration,
}

impl Cut {
    fn small(&self) -> bool {
        self.to > self.from * 0.9
    }
}

/// The cuts of a client after the first bound, until it is held; `lately`: how much faster than now it was, tick by tick.
fn cuts(world: &mut World, lately: &[f64]) -> Vec<Cut> {
    world.demand("wild", 60.0 * MB);
    world.run_until("caught", |world| world.quota("wild").is_some());
    let (rule, window) = (world.policy.rules[0].clone(), Window::new(11, Duration::from_secs(1)));
    let safety = Safety { window, burst: rule.burst, bound: world.policy.mute };
    let (mut cuts, mut written, mut lately) = (Vec::new(), world.now, lately.iter().cycle());
    while world.phase("wild") != Some(Phase::Holding) {
        world.lately = *lately.next().unwrap();
        let outcome = world.tick();
        for act in outcome.acts.iter().filter(|act| act.tightens()) {
            let intent = act.hold.intent.unwrap();
            let (from, to) = (intent.from.unwrap(), intent.to.unwrap());
            let floor = rule.floor.bound.max(safety.floor());
            let at_rest = next(from, Some(from), act.hold.target, floor, &safety, KEY).unwrap();
            cuts.push(Cut { from, to, at_rest, after: world.now.since(written) });
            written = world.now;
        }
        assert!(world.now < Timestamp(1_000_000 + 3_600_000), "{cuts:?}");
    }
    cuts
}

fn lasting(limit: f64) -> Rule {
    let mut rule =
        Rule { limit: Limit::Total(limit), floor: Floor { bound: 1.0, times_baseline: None }, ..rule() };
    (rule.hold.duration, rule.hold.longest) = (Duration::from_secs(7200), Duration::from_secs(7200));
    rule
}

#[test]
fn close_to_the_safe_floor_steps_are_small_and_lead_there() {
    let mut world = World::new(policy(vec![lasting(1.0)]));
    let cuts = cuts(&mut world, &[1.0]);
    let small: Vec<f64> =
        cuts.iter().filter(|cut| cut.small()).map(|cut| (1.0 - cut.to / cut.from) * 100.0).collect();
    // In percent, as docs/quota-faults.md has it. All before them are larger.
    assert!(small.len() <= 7 && small.iter().all(|cut| *cut >= 1.0), "{small:?}");
    assert!(cuts.iter().filter(|cut| cut.from > 0.97 * MB).all(|cut| !cut.small()), "{cuts:?}");
}

#[test]
fn a_cut_that_stays_small_is_made_after_a_while() {
    let mut world = World::new(policy(vec![lasting(9.0 * MB)]));
    // Each of its sensors shows half as much again as its bound, now and then, for good.
    let cuts = cuts(&mut world, &[1.5]);
    let small = cuts.iter().filter(|cut| cut.small() && !cut.at_rest.last).count();
    assert!(small > 10, "{cuts:?}");
    assert!(world.quota("wild").unwrap() <= 3.0 * MB * 1.01);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Each cut is one of a tenth or more, or the last one; or a larger one is not safe there, or did not become so in time.
    #[test]
    fn small_cuts_wait_and_nothing_stalls(
        world in prop::sample::select(&WORLDS),
        limit in prop_oneof![Just(1.0), 1.0 * MB..9.0 * MB],
        lately in prop::collection::vec(prop_oneof![Just(1.0), 1.0..2.0f64], 1..40),
    ) {
        let mut world = world(policy(vec![lasting(limit)]));
        let patience = crate::decide::settle(&world.policy, Window::new(11, Duration::from_secs(1))) * 2;
        let goal = 0.694 * MB;
        // Now and then the client is no faster than its bound.
        let lately: Vec<f64> = lately.into_iter().chain([1.0; 60]).collect();
        for cut in cuts(&mut world, &lately) {
            let last = cut.at_rest.last && cut.to <= cut.at_rest.to;
            let no_larger = !cut.at_rest.last && cut.at_rest.to > cut.from * 0.9;
            prop_assert!(!cut.small() || last || no_larger || cut.after >= patience, "{cut:?}");
        }
        prop_assert!(world.quota("wild").unwrap() <= (limit / 3.0).max(goal) * 1.02);
    }
}
