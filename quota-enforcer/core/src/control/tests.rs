use std::time::Duration;

use super::*;
use crate::ledger::{Intent, Purpose};

const NOW: Timestamp = Timestamp(1_000_000);

fn slot(user: &str, key: Key) -> crate::quota::Slot {
    crate::quota::Slot { entity: Entity::user(user), key }
}

fn hold(user: &str, key: Key, open: bool) -> Hold {
    let at = Timestamp(0);
    Hold {
        ours: Some(50.0),
        intent: open.then_some(Intent::new(Some(50.0), Some(40.0), at)),
        written: Some(at),
        ..Hold::begun(slot(user, key), Purpose::Throttle, "r", 40.0, at)
    }
}

fn ledger(holds: impl IntoIterator<Item = Hold>) -> Ledger {
    let mut ledger = Ledger::default();
    holds.into_iter().for_each(|hold| ledger.apply(Change::Put(Fact::Hold(hold))));
    ledger
}

fn planned(order: &Order, ledger: &Ledger) -> Plan {
    plan(order, ledger, "ops", "a test", NOW).unwrap()
}

fn orders() -> [Order; 4] {
    let entity = Entity::user("wild");
    [
        Order::Release { entity: entity.clone(), key: None },
        Order::ReleaseAll,
        Order::Reap,
        Order::Exempt { entity, until: NOW + Duration::from_secs(60) },
    ]
}

#[test]
fn who_has_a_write_without_an_answer_is_not_said_to_be_released() {
    let ledger = ledger([hold("wild", Key::ProducerByteRate, true)]);
    for order in orders() {
        let plan = planned(&order, &ledger);
        assert!(plan.acts.is_empty(), "{order:?}");
        assert!(
            matches!(&plan.faults[..], [fault] if fault.contains("user=wild") && fault.contains("ask again")),
            "{order:?}: {plan:?}"
        );
        let said = plan.said.join("\n");
        assert!(!said.contains("released") && !said.contains("gives back"), "{said}");
        assert!(!said.contains("throttles it again"), "{said}");
    }
}

#[test]
fn what_can_be_released_is_and_the_rest_is_a_fault() {
    let ledger =
        ledger([hold("wild", Key::ProducerByteRate, true), hold("wild", Key::ConsumerByteRate, false)]);
    for order in orders() {
        let plan = planned(&order, &ledger);
        let slots: Vec<_> = plan.acts.iter().map(|act| act.hold.slot.clone()).collect();
        assert_eq!(slots, [slot("wild", Key::ConsumerByteRate)], "{order:?}");
        assert_eq!(plan.faults.len(), 1, "{order:?}");
        assert!(plan.said.iter().any(|text| text.starts_with("gives back")), "{plan:?}");
    }
}

#[test]
fn where_nothing_is_open_nothing_is_amiss() {
    let ledger = ledger([hold("wild", Key::ProducerByteRate, false)]);
    for order in orders() {
        let plan = planned(&order, &ledger);
        assert_eq!((plan.acts.len(), plan.faults.len()), (1, 0), "{order:?}");
    }
}
