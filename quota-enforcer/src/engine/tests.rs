//! The engine against a cluster in memory that fails, answers late, loses answers and has humans in it. What real brokers
//! do is tested against real brokers; here every order of events is tried.

mod sim;
mod spans;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

use sim::{Bench, Fate, HUMAN, IN_FLIGHT, MB, block_on, slot};

#[test]
fn a_throttle_comes_and_goes_with_its_records() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        for _ in 0..60 {
            assert!(bench.tick().await.faults.is_empty());
        }
        assert!(bench.sim.world().quotas.get(&slot("wild")).is_some());
        bench.sim.world().demand.insert("wild".to_owned(), 1.0 * MB);
        for _ in 0..60 {
            bench.tick().await;
        }
        let world = bench.sim.world();
        assert!(world.quotas.is_empty() && world.ledger.holds.is_empty());
        assert_eq!(world.ledger.offences.len(), 1);
        assert!(world.head.seq >= 6, "{:?}", world.head);
    });
}

#[test]
fn without_the_ledger_nothing_is_written_and_nothing_is_lost() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        bench.sim.world().commit_fails = u8::MAX;
        for _ in 0..60 {
            bench.tick().await;
        }
        assert!(bench.sim.world().quotas.is_empty());
        let tick = bench.tick().await;
        assert!(
            tick.ledger_failed && tick.faults[0].contains("nothing new is enforced"),
            "{:?}",
            tick.faults
        );
    });
}

#[test]
fn what_was_decided_too_long_ago_tightens_nothing_and_that_is_said() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        bench.sim.world().slow = Duration::from_millis(2_500);
        let mut late = 0;
        for _ in 0..20 {
            let tick = bench.tick().await;
            let said = tick.faults.iter().any(|fault| fault.contains("went by since"));
            assert_eq!(tick.ledger_failed, said, "{tick:?}");
            late += usize::from(said);
        }
        assert!(late > 1 && bench.sim.world().quotas.is_empty(), "{late}");
        bench.sim.world().slow = Duration::ZERO;
        while bench.sim.world().quotas.is_empty() {
            bench.tick().await;
        }
        // What is given back is given back however long it takes.
        bench.sim.world().slow = Duration::from_millis(2_500);
        let sim = bench.sim.clone();
        let order = Order::Release { entity: slot("wild").entity, key: None };
        bench.engine.order(&sim, &order, "ops", "enough").await.unwrap();
        assert!(sim.world().quotas.is_empty());
    });
}

#[test]
fn slow_brokers_tighten_nothing_and_are_no_fault_of_the_ledger() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        bench.sim.world().hesitates = Duration::from_millis(2_500);
        let mut late = 0;
        for _ in 0..20 {
            let tick = bench.tick().await;
            assert!(!tick.ledger_failed, "{tick:?}");
            late += tick.faults.iter().filter(|fault| fault.contains("brokers took 2.5 s to tell")).count();
        }
        assert!(late > 1 && bench.sim.world().quotas.is_empty(), "{late}");
    });
}

#[test]
fn where_both_took_long_the_slower_one_is_named() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        bench.sim.world().slow = Duration::from_millis(1_900);
        bench.sim.world().hesitates = Duration::from_millis(200);
        let mut late = 0;
        for _ in 0..20 {
            let tick = bench.tick().await;
            let told = tick.faults.iter().filter(|fault| fault.contains("the ledger took 1.9 s")).count();
            assert_eq!(tick.ledger_failed, told > 0, "{tick:?}");
            late += told;
        }
        assert!(late > 1 && bench.sim.world().quotas.is_empty(), "{late}");
    });
}

#[test]
fn at_the_end_of_the_lease_nothing_is_written() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        bench.sim.world().lease = Some(Duration::from_secs(4));
        let mut faults = Vec::new();
        for _ in 0..20 {
            faults.extend(bench.tick().await.faults);
        }
        assert!(bench.sim.world().quotas.is_empty());
        assert!(faults.len() > 1, "{faults:?}");
        assert!(faults.iter().all(|fault| fault.contains("the lease ends too soon")), "{faults:?}");
    });
}

#[test]
fn what_is_refused_is_tried_less_and_less_often_and_said_all_the_time() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        // Confirmed, and from then on the controller takes nothing.
        bench.sim.world().fates = vec![Fate::Refused; 1_000];
        for _ in 0..600 {
            let tick = bench.tick().await;
            let verdicts = &tick.outcome.verdicts;
            let state = verdicts.first().map_or("calm", |verdict| verdict.state.name());
            assert!(matches!(state, "over" | "caught" | "blocked"), "{verdicts:?}");
            let tried = tick.done.len();
            assert_eq!(tried, usize::from(state == "caught"), "{tick:?}");
        }
        // An intent and what became of it, each time: 1 + 2 + … + 32 s, then once a minute.
        assert!((20..40).contains(&bench.sim.world().head.seq), "{:?}", bench.sim.world().head);
        bench.sim.world().fates.clear();
        for _ in 0..60 {
            bench.tick().await;
        }
        assert!(bench.sim.world().quotas.get(&slot("wild")).is_some(), "a minute later it is held");

        // What is held stays held and says why its release waits; then it ends.
        bench.sim.world().demand.insert("wild".to_owned(), MB);
        bench.sim.world().fates = vec![Fate::Refused; 1_000];
        let mut said = false;
        for _ in 0..120 {
            let tick = bench.tick().await;
            said |= tick.outcome.verdicts.iter().any(|verdict| verdict.why.contains("(it was refused"));
        }
        assert!(said && !bench.sim.world().quotas.is_empty());
        bench.sim.world().fates.clear();
        for _ in 0..60 {
            bench.tick().await;
        }
        assert!(bench.sim.world().quotas.is_empty());
    });
}

#[test]
fn a_broker_that_tells_nothing_keeps_clients_from_being_bound_and_from_nothing_else() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        while bench.sim.world().quotas.is_empty() {
            bench.tick().await;
        }
        bench.restart();
        bench.sim.world().down = true;
        bench.sim.world().demand.insert("wilder".to_owned(), 20.0 * MB);
        bench.sim.world().demand.insert("wild".to_owned(), MB);
        for _ in 0..120 {
            let tick = bench.tick().await;
            assert_eq!(tick.observation.blockers.len(), 1, "{tick:?}");
        }
        assert!(bench.sim.world().quotas.is_empty(), "{:?}", bench.sim.world().quotas);
        bench.sim.world().down = false;
        for _ in 0..10 {
            bench.tick().await;
        }
        assert!(bench.sim.world().quotas.get(&slot("wilder")).is_some());
    });
}

#[test]
fn a_write_without_an_answer_that_is_made_twice_is_ours_both_times() {
    // A broker that hangs may be the one that the ledger is written to.
    for commit_fails in [0, 1] {
        block_on(async {
            let mut bench = Bench::new();
            bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
            bench.sim.world().fates = vec![Fate::Twice(30)];
            bench.sim.world().commit_fails_then = commit_fails;
            while bench.sim.world().quotas.is_empty() {
                bench.tick().await;
            }
            // Somebody wants it back at once.
            bench.sim.world().demand.insert("wild".to_owned(), MB);
            let sim = bench.sim.clone();
            let order = Order::Release { entity: slot("wild").entity, key: None };
            let ordered = bench.engine.order(&sim, &order, "ops", "x").await.unwrap();
            assert!(ordered.done.is_empty() && ordered.faults[0].contains("no answer yet"), "{ordered:?}");
            let mut ticks = 0;
            while sim.world().ledger.holds.values().any(|hold| hold.intent.is_some()) {
                let tick = bench.tick().await;
                let said = tick.faults.iter().any(|fault| fault.contains("may or may not be written"));
                assert_eq!(said, tick.done.is_empty(), "until it is settled: {tick:?}");
                ticks += 1;
            }
            assert!(ticks > 30, "{ticks}");
            // Until now it could have overwritten somebody.
            let longest = bench.windows.all().into_iter().max().unwrap();
            assert!((IN_FLIGHT..IN_FLIGHT + Duration::from_secs(2)).contains(&longest), "{longest:?}");
            for _ in 0..200 {
                assert!(bench.tick().await.faults.is_empty());
            }
            assert!(sim.world().late.is_empty() && sim.world().quotas.is_empty());
            assert!(sim.world().ledger.holds.is_empty());
        });
    }
}

#[test]
fn by_a_clock_that_is_wrong_at_the_start_nothing_is_forgotten() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        bench.sim.world().fates = vec![Fate::Late(30)];
        while bench.sim.world().ledger.holds.is_empty() {
            bench.tick().await;
        }
        let until = bench.sim.world().now + Duration::from_secs(600);
        let exempt = Order::Exempt { entity: slot("other").entity, until };
        let sim = bench.sim.clone();
        bench.engine.order(&sim, &exempt, "ops", "x").await.unwrap();
        // Samples go on telling the right time.
        let right = bench.clock.now_ms();
        bench.clock.set_wall_ms(right + 3_600_000);
        bench.restart();
        for _ in 0..5 {
            bench.tick_at(|wall| wall - 3_600_000).await;
        }
        let world = sim.world();
        assert!(world.ledger.holds.values().any(|hold| hold.intent.is_some()), "{world:?}");
        assert_eq!(world.ledger.exemptions.len(), 1);
    });
}

#[test]
fn what_a_new_policy_decides_is_recorded_as_its_own() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        while bench.sim.world().quotas.is_empty() {
            bench.tick().await;
        }
        bench.policy.version = "v2".to_owned();
        bench.policy.rules.clear();
        bench.tick().await;
        let world = bench.sim.world();
        assert!(world.quotas.is_empty());
        let last: Vec<_> = world.entries.iter().rev().take(2).collect();
        assert_eq!((last[1].event.name(), last[1].policy.as_str()), ("intent", "v2"), "{last:?}");
    });
}

#[test]
fn a_clock_that_jumped_ends_nothing_early() {
    block_on(async {
        let mut bench = Bench::new();
        bench.tick().await;
        bench.clock.set_wall_ms(bench.clock.now_ms() + 3_600_000);
        let sim = bench.sim.clone();
        let exempt = Order::Exempt { entity: slot("wild").entity, until: Timestamp(bench.clock.now_ms()) };
        for order in [Order::Reap, exempt] {
            let refused = bench.engine.order(&sim, &order, "ops", "x").await;
            assert!(matches!(refused, Err(OrderError::Clock(_))), "{refused:?}");
        }
        bench.engine.order(&sim, &Order::Pause, "ops", "x").await.unwrap();
        assert!(sim.world().ledger.pause.is_some());
    });
}

#[test]
fn orders_are_carried_out_and_recorded() {
    block_on(async {
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        while bench.sim.world().quotas.is_empty() {
            bench.tick().await;
        }
        let sim = bench.sim.clone();
        let entity = slot("wild").entity;
        let until = bench.sim.world().now + Duration::from_secs(100);
        let order = Order::Exempt { entity: entity.clone(), until };
        let ordered = bench.engine.order(&sim, &order, "ops", "backfill").await.unwrap();
        assert_eq!(ordered.done[0].event, quota_enforcer_core::audit::Event::Released);
        assert!(sim.world().quotas.is_empty());
        for _ in 0..50 {
            bench.tick().await;
            assert!(sim.world().quotas.is_empty(), "it is exempted");
        }
        let again = bench.engine.order(&sim, &Order::Release { entity, key: None }, "ops", "x").await;
        assert!(matches!(again, Err(OrderError::Refused(Refused::NotHeld(_)))));
        while sim.world().quotas.is_empty() {
            bench.tick().await;
        }
        assert!(sim.world().ledger.exemptions.is_empty(), "it ran out");
    });
}

#[derive(Clone, Debug)]
enum Step {
    Ticks(u8),
    Fate(Fate),
    Human(u8, bool),
    CommitFails(u8),
    Restart,
    Demand(u8, bool),
    Lag(bool),
    Down(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        Just(Fate::Refused),
        Just(Fate::NotSent),
        Just(Fate::AnswerLost),
        Just(Fate::RequestLost),
        (1..30u8).prop_map(Fate::Late),
        (1..30u8).prop_map(Fate::Twice),
        Just(Fate::HumanAfter),
    ];
    prop_oneof![
        4 => (1..30u8).prop_map(Step::Ticks),
        3 => fate.prop_map(Step::Fate),
        1 => (0..3u8, any::<bool>()).prop_map(|(who, set)| Step::Human(who, set)),
        1 => (1..4u8).prop_map(Step::CommitFails),
        1 => Just(Step::Restart),
        1 => (0..3u8, any::<bool>()).prop_map(|(who, wild)| Step::Demand(who, wild)),
        1 => any::<bool>().prop_map(Step::Lag),
        1 => any::<bool>().prop_map(Step::Down),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever fails, and whoever interferes: no value of a human that we could see is overwritten, and when all is quiet
    /// again nothing of ours is left that nobody takes away.
    #[test]
    fn nothing_of_ours_stays_and_nothing_of_others_goes(steps in prop::collection::vec(step(), 1..40)) {
        block_on(async {
            let mut bench = Bench::new();
            let name = |who: u8| format!("client-{who}");
            for step in steps {
                match step {
                    Step::Ticks(ticks) => {
                        for _ in 0..ticks {
                            bench.tick().await;
                        }
                    }
                    Step::Fate(fate) => bench.sim.world().fates.push(fate),
                    Step::Human(who, set) => {
                        bench.sim.world().quotas.set(slot(&name(who)), set.then_some(HUMAN));
                    }
                    Step::CommitFails(times) => bench.sim.world().commit_fails = times,
                    Step::Restart => bench.restart(),
                    Step::Demand(who, wild) => {
                        let rate = if wild { 20.0 * MB } else { MB };
                        bench.sim.world().demand.insert(name(who), rate);
                    }
                    Step::Down(down) => bench.sim.world().down = down,
                    Step::Lag(lags) => {
                        let mut world = bench.sim.world();
                        world.lag = lags.then(|| world.quotas.clone());
                    }
                }
            }
            // Quiet again; longer than any hold lasts.
            bench.sim.world().fates.clear();
            bench.sim.world().lag = None;
            bench.sim.world().down = false;
            bench.sim.world().commit_fails = 0;
            bench.sim.world().demand.values_mut().for_each(|rate| *rate = MB);
            for _ in 0..800 {
                bench.tick().await;
            }
            let world = bench.sim.world();
            prop_assert!(world.overwritten.is_empty(), "{:?}", world.overwritten);
            prop_assert!(world.ledger.holds.is_empty(), "{:?}", world.ledger.holds);
            let left: BTreeSet<String> =
                world.quotas.iter().filter(|(_, value)| *value != HUMAN).map(|(slot, _)| slot.to_string()).collect();
            prop_assert!(left.is_empty(), "{left:?}");
            Ok(())
        })?;
    }
}
