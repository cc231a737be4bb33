//! A rule that lacks what it needs says so as a whole.

use super::world::{KEY, MB, World, client, policy, rule};
use crate::decide::{Outcome, State, Verdict};
use crate::ledger::Phase;
use crate::policy::{BudgetGuard, Floor, Limit, Measure, Mode, Rule};
use crate::quota::Slot;
use crate::usage::{Answer, Unknown};

/// Why the rule as a whole is unknown.
fn blind(outcome: &Outcome) -> Vec<&str> {
    let whole = outcome.verdicts.iter().filter(|verdict| verdict.entity.is_none());
    whole
        .filter(|verdict| matches!(verdict.state, State::Unknown { .. }))
        .map(|verdict| verdict.why.as_str())
        .collect()
}

/// Two calm clients under a rule.
fn calm(rule: Rule) -> World {
    let mut world = World::new(policy(vec![rule]));
    world.demand("a", 1.0 * MB);
    world.demand("b", 1.0 * MB);
    world
}

#[test]
fn a_burn_rate_that_is_not_there() {
    for mode in [Mode::Observe, Mode::Flag, Mode::Enforce] {
        let when = Some(BudgetGuard { slo: "latency".to_owned(), burn: 6.0 });
        let mut world = calm(Rule { mode, when, ..rule() });
        assert_eq!(blind(&world.tick()), ["the burn rate of SLO `latency` is not known"]);
        world.burns.insert("latency".to_owned(), f64::NAN);
        assert_eq!(blind(&world.tick()).len(), 1);
        world.burns.insert("latency".to_owned(), 0.0);
        assert!(world.tick().verdicts.is_empty());
    }
}

#[test]
fn a_query_that_failed_or_says_nothing_of_any_client() {
    let mut world =
        calm(Rule { measure: Measure::Query("q".to_owned()), enter: 5.0, release: 4.0, ..rule() });
    let why = "what the rule's query says of its clients is not known";
    // It failed.
    assert_eq!(blind(&world.tick()), [why]);
    // It answered with nothing, and with somebody else only.
    world.answers.entry("greedy".to_owned()).or_default();
    assert_eq!(blind(&world.tick()), [why]);
    let answer = |world: &World, name: &str| (client(name), Answer { value: 1.0, at: world.now });
    let other = answer(&world, "other");
    world.answers.entry("greedy".to_owned()).or_default().extend([other]);
    assert_eq!(blind(&world.tick()), [why]);
    // One client that it leaves out is unknown, and the rule is not.
    let own = answer(&world, "a");
    world.answers.entry("greedy".to_owned()).or_default().extend([own]);
    let outcome = world.tick();
    assert_eq!(blind(&outcome), [""; 0]);
    assert_eq!(outcome.verdicts.len(), 1);
    assert_eq!(outcome.verdicts[0].entity, Some(client("b")));
    // What it said too long ago.
    for _ in 0..20 {
        world.tick();
    }
    assert_eq!(blind(&world.tick()), [why]);
}

#[test]
fn baselines_that_are_all_missing() {
    let why = "the baseline of any of its clients is not known";
    let rules = [
        Rule { measure: Measure::TimesBaseline, enter: 5.0, release: 4.0, ..rule() },
        Rule { limit: Limit::TimesBaseline(2.0), ..rule() },
        Rule { floor: Floor { bound: MB, times_baseline: Some(0.5) }, ..rule() },
    ];
    for rule in rules {
        let mut world = calm(rule);
        assert_eq!(blind(&world.tick()), [why]);
        world.baselines.entry("greedy".to_owned()).or_default();
        assert_eq!(blind(&world.tick()), [why]);
        // The other one is young.
        world.baselines.entry("greedy".to_owned()).or_default().insert(client("a"), MB);
        assert_eq!(blind(&world.tick()), [""; 0]);
    }
}

#[test]
fn readings_of_all_clients_that_are_bad() {
    let why = "a reading of broker 1 is no number";
    let mut world = calm(rule());
    world.demand("a", f64::NAN);
    // The other one is known.
    assert_eq!(blind(&world.tick()), [""; 0]);
    world.demand("b", f64::NAN);
    let outcome = world.tick();
    assert_eq!(blind(&outcome), [why]);
    assert_eq!(outcome.verdicts.len(), 3);
    // One that is held and known is one that is measured.
    world.demand("a", 20.0 * MB);
    world.demand("b", 1.0 * MB);
    world.run_until("held", |world| world.phase("a") == Some(Phase::Holding));
    world.demand("b", f64::NAN);
    assert_eq!(blind(&world.tick()), [""; 0]);
    world.demand("a", f64::NAN);
    assert_eq!(blind(&world.tick()), [why]);
}

#[test]
fn a_write_that_moves_series_blinds_nobody_while_readings_settle() {
    let mut world = calm(rule());
    world.tick();
    world.snapshot.set(Slot { entity: "client-id=<default>".parse().unwrap(), key: KEY }, Some(1e12));
    let outcome = world.tick();
    assert_eq!((blind(&outcome), outcome.verdicts.len()), (vec![], 2));
    let settling =
        |verdict: &Verdict| matches!(verdict.state, State::Unknown { reason: Unknown::Settling { .. } });
    assert!(outcome.verdicts.iter().all(settling), "{outcome:?}");
    // Once more before they have settled, and so on: the rule measures nobody any more, and says so.
    let default = Slot { entity: "client-id=<default>".parse().unwrap(), key: KEY };
    let mut outcome = Outcome::default();
    for value in [None, Some(1e12)].into_iter().cycle().take(100) {
        world.snapshot.set(default.clone(), value);
        outcome = world.tick();
    }
    assert!(blind(&outcome)[0].contains("were taken under other quotas"), "{outcome:?}");
    for _ in 0..100 {
        outcome = world.tick();
    }
    assert_eq!(blind(&outcome), [""; 0], "nobody writes any more");
}

#[test]
fn a_rule_without_clients_lacks_only_what_could_not_be_read() {
    let mut world = World::new(policy(vec![Rule { limit: Limit::TimesBaseline(2.0), ..rule() }]));
    world.policy.rules[0].select.client_ids.push(crate::policy::Pattern("none-*".to_owned()));
    world.demand("a", 1.0 * MB);
    assert_eq!(blind(&world.tick()).len(), 1);
    world.baselines.entry("greedy".to_owned()).or_default();
    assert!(world.tick().verdicts.is_empty());
}
