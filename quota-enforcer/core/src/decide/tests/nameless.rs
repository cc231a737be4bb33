//! A rule tells whom it cannot see.

use super::world::{MB, World, policy, rule, slot_of};
use crate::decide::{Outcome, State};
use crate::entity::Kind;
use crate::policy::{Floor, Measure, Pattern, Rule, Select};
use crate::usage::Unknown;

/// What is said of series that name nobody.
fn hidden(outcome: &Outcome) -> Vec<&str> {
    let whole = outcome.verdicts.iter().filter(|verdict| verdict.entity.is_none());
    let nameless = |state: &State| matches!(state, State::Unknown { reason: Unknown::Nameless { .. } });
    whole.filter(|verdict| nameless(&verdict.state)).map(|verdict| verdict.why.as_str()).collect()
}

/// Client ids have a default and so has one user a quota: alice is measured by user, and who runs wild by client id.
fn mixed(rule: Rule) -> World {
    let mut world = World::new(policy(vec![rule]));
    world.snapshot.set(
        crate::quota::Slot { entity: "client-id=<default>".parse().unwrap(), ..slot_of("x") },
        Some(1e12),
    );
    world.snapshot.set(slot_of("bob/"), Some(1e12));
    world.demand("alice/", 1.0 * MB);
    world
}

fn of_users() -> Rule {
    Rule { entity: Kind::User, ..rule() }
}

#[test]
fn one_series_that_names_a_user_does_not_make_all_users_known() {
    let mut world = mixed(of_users());
    world.demand("wild", 20.0 * MB);
    let why = "3 series with 20.00 MB/s name no user: who is above the threshold may hide among them";
    assert_eq!(hidden(&world.tick()), [why]);
    let outcome = world.tick();
    assert_eq!((outcome.verdicts.len(), outcome.seen["greedy"]), (1, 1));
    // Nobody knows whose they are, whomever the rule selects.
    world.policy.rules[0].select = Select { users: vec![Pattern("team-*".to_owned())], ..Select::default() };
    assert_eq!(hidden(&world.tick()), [why]);
    // Together they are no more than one client may use.
    world.demand("wild", 5.0 * MB);
    world.demand("other", 4.0 * MB);
    assert!(world.tick().verdicts.is_empty());
    world.demand("third", 2.0 * MB);
    assert_eq!(hidden(&world.tick()).len(), 1);
}

#[test]
fn whom_a_rule_measures_it_throttles_all_the_same() {
    let mut world = mixed(of_users());
    world.demand("wild", 20.0 * MB);
    world.demand("alice/", 20.0 * MB);
    world.run_until("caught", |world| world.quota("alice/").is_some());
    assert_eq!(hidden(&world.tick()).len(), 1);
}

#[test]
fn rules_for_client_ids_and_pairs_tell_what_they_need() {
    let why = |entity: Kind| {
        let mut world = mixed(Rule { entity, ..rule() });
        world.demand("carol/app", 1.0 * MB);
        world.demand("alice/", 20.0 * MB);
        hidden(&world.tick()).join(" ")
    };
    assert!(why(Kind::ClientId).starts_with("3 series with 20.00 MB/s name no client id"));
    assert!(why(Kind::Pair).starts_with("3 series with 20.00 MB/s do not name both user and client id"));
    assert_eq!(why(Kind::User), "");
}

#[test]
fn what_hides_nobody_is_not_told() {
    // A sensor that lies idle, one that was measured under other quotas, one that nobody scrapes any more.
    let mut world = mixed(of_users());
    world.demand("wild", 0.0);
    assert_eq!(hidden(&world.tick()).len(), 0);
    world.demand("wild", 20.0 * MB);
    world.snapshot.set(slot_of("carol/app"), Some(1e12));
    assert_eq!(hidden(&world.tick()).len(), 0);
    world.run_until("settled", |world| world.memory.settled(slot_of("x").key, Kind::User) < world.now);
    assert_eq!(hidden(&world.tick()).len(), 1);
    // No rule touches it.
    world.policy.protected.client_ids.push(Pattern("wi*".to_owned()));
    assert_eq!(hidden(&world.tick()).len(), 0);
    world.demand("other", 20.0 * MB);
    assert!(hidden(&world.tick())[0].starts_with("3 series with 20.00 MB/s"));
    // A rule for client ids that looks at some of them, and at all.
    let select =
        |pattern: &str| Select { client_ids: vec![Pattern(pattern.to_owned())], ..Select::default() };
    world.policy.rules.push(Rule { name: "ids".to_owned(), select: select("x*"), ..rule() });
    assert_eq!(hidden(&world.tick()).len(), 1);
    world.policy.rules[1].select = select("*");
    assert_eq!(hidden(&world.tick()).len(), 0);
}

#[test]
fn they_are_compared_as_the_measure_compares() {
    let told = |measure: Measure, enter: f64, wild: f64| {
        let floor = Floor { bound: 0.5 * MB, times_baseline: None };
        let mut world = mixed(Rule { measure, enter, floor, ..of_users() });
        world.demand("wild", wild * MB);
        !hidden(&world.tick()).is_empty()
    };
    // 7 MB/s on each of three brokers; alice has 1 MB/s.
    assert!(told(Measure::WorstBroker, 6.5 * MB, 21.0));
    assert!(!told(Measure::WorstBroker, 7.5 * MB, 21.0));
    for share in [Measure::ShareOfBroker, Measure::ShareOfCluster] {
        assert!(told(share.clone(), 0.5, 1.5));
        assert!(!told(share, 0.5, 0.9));
    }
    // Neither a baseline nor an answer names them: whatever is above the floor may be too much.
    for measure in [Measure::TimesBaseline, Measure::Query("q".to_owned())] {
        assert!(told(measure.clone(), 100.0, 1.6));
        assert!(!told(measure, 100.0, 1.4));
    }
}

#[test]
fn a_nameless_reading_that_is_no_number_may_be_anything() {
    let mut world = mixed(of_users());
    world.demand("wild", f64::NAN);
    let outcome = world.tick();
    let reason = Unknown::NotANumber { broker: 1 };
    assert_eq!(outcome.verdicts.len(), 1);
    assert_eq!(outcome.verdicts[0].state, State::Unknown { reason });
}
