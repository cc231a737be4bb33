//! What counts as one more sample, when each broker is scraped at its own time.

use std::time::Duration;

use super::world::{MB, World, policy, rule};
use crate::decide::{Outcome, State};
use crate::ledger::Phase;
use crate::time::Timestamp;
use crate::usage::{Rates, Unknown};

const SCRAPES: Duration = Duration::from_secs(15);

fn unsettled() -> World {
    let mut world = World::spread(policy(vec![rule()]));
    world.demand("good", 1.0 * MB);
    world
}

/// How many samples were over, as it is told.
fn over(outcome: &Outcome) -> Option<u32> {
    let verdict = outcome.verdicts.iter().find(|verdict| verdict.state == State::Over)?;
    let (_, told) = verdict.why.split_once(" in ").unwrap();
    Some(told.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn three_samples_take_three_scrapes_of_every_broker() {
    let mut world = unsettled();
    world.demand("wild", 20.0 * MB);
    let started = world.now;
    // Seconds 1, 8 and 14, and so on; ticks every 5.
    let counts: Vec<_> = (0..8).map(|_| over(&world.tick())).collect();
    let (one, two) = (Some(1), Some(2));
    assert_eq!(counts, [None, None, one, one, one, two, two, two]);
    world.run_until("caught", |world| world.quota("wild").is_some());
    assert_eq!(world.now, started + SCRAPES * 3);
}

#[test]
fn three_quiet_samples_take_three_scrapes_of_every_broker() {
    let mut world = unsettled();
    world.demand("wild", 20.0 * MB);
    world.run_until("held", |world| world.phase("wild") == Some(Phase::Holding));
    let earliest = world.ledger.holds.values().next().unwrap().earliest;
    world.run_until("could be released", |world| world.now > earliest);
    world.demand("wild", 0.5 * MB);
    let calm = world.now;
    world.run_until("released", |world| world.quota("wild").is_none());
    let took = world.now.since(calm);
    assert!((SCRAPES * 3..=SCRAPES * 4).contains(&took), "{took:?}");
}

#[test]
fn while_one_broker_is_not_scraped_nothing_counts_and_then_nothing_is_known() {
    let mut world = unsettled();
    world.demand("wild", 20.0 * MB);
    for _ in 0..3 {
        world.tick();
    }
    world.unscraped.push(2);
    let lost = world.now;
    let mut blind = false;
    for _ in 0..20 {
        let outcome = world.tick();
        assert!(outcome.acts.is_empty());
        let whole = |reason: &Unknown| matches!(reason, Unknown::Coverage { scraped: 2, brokers: 3 });
        blind |= outcome
            .verdicts
            .iter()
            .any(|verdict| matches!(&verdict.state, State::Unknown { reason } if whole(reason)));
        assert_eq!(over(&outcome), (!blind).then_some(1), "{outcome:?}");
    }
    assert!(blind);
    // One count is left from before, and the samples go on.
    world.unscraped.clear();
    world.run_until("caught", |world| world.quota("wild").is_some());
    assert!(world.now >= lost + Duration::from_secs(100) + SCRAPES);
}

#[test]
fn with_less_coverage_the_other_brokers_go_on_without_the_one_that_is_not_scraped() {
    let mut world = unsettled();
    world.policy.evidence.coverage = 0.6;
    world.demand("wild", 20.0 * MB);
    for _ in 0..3 {
        world.tick();
    }
    world.unscraped.push(2);
    let last = world.now;
    // The reading of second 8 is evidence for 45 s.
    for _ in 0..7 {
        assert_eq!(over(&world.tick()), Some(1));
    }
    world.run_until("caught", |world| world.quota("wild").is_some());
    // The others' scrapes of seconds 44 and 46, and of 59 and 61.
    assert_eq!(world.now, last + Duration::from_secs(50));
}

#[test]
fn rates_of_older_records_are_read() {
    let text = r#"{"brokers":{"1":{"now":1.0,"peak":2.0}},"at":5,"covered":[1,1]}"#;
    let rates: Rates = serde_json::from_str(text).unwrap();
    assert_eq!((rates.at, rates.newest), (Timestamp(5), Timestamp(0)));
}
