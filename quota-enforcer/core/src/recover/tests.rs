use proptest::prelude::*;

use super::*;
use crate::entity::Entity;
use crate::ledger::Ledger;
use crate::quota::{Key, Slot};

const IN_FLIGHT: Duration = Duration::from_secs(10);

fn slot() -> Slot {
    Slot { entity: Entity::user("u"), key: Key::ProducerByteRate }
}

fn hold(purpose: Purpose, prior: Option<f64>) -> Hold {
    Hold {
        prior,
        intent: None,
        offence: 3,
        memory: Duration::from_secs(60),
        ..Hold::begun(slot(), purpose, "r", 50.0, Timestamp(0))
    }
}

fn intends(hold: Hold, to: Option<f64>) -> Hold {
    let from = hold.ours.or(hold.prior);
    Hold { intent: Some(Intent::new(from, to, Timestamp(0))), ..hold }
}

fn stands(hold: Hold, value: f64) -> Hold {
    Hold { ours: Some(value), written: Some(Timestamp(-1000)), ..hold }
}

fn after(hold: &Hold, live: Option<f64>) -> (Ledger, Recovery) {
    let mut ledger = Ledger::default();
    ledger.apply(put(hold.clone()));
    let recovery = reconcile(hold, live, Timestamp(5000));
    recovery.changes.iter().cloned().for_each(|change| ledger.apply(change));
    (ledger, recovery)
}

#[test]
fn a_write_that_was_made_is_taken_up() {
    let first = intends(hold(Purpose::Throttle, None), Some(200.0));
    let (ledger, recovery) = after(&first, Some(200.0));
    let held = &ledger.holds[&slot()];
    assert_eq!((held.ours, held.intent, held.written), (Some(200.0), None, Some(Timestamp(5000))));
    assert_eq!(recovery.event, Some(Event::Done));
    assert_eq!(recovery.why, "the throttle of user=u producer_byte_rate stands at 200");
}

#[test]
fn a_write_that_was_not_made_is_given_up() {
    let first = intends(hold(Purpose::Throttle, None), Some(200.0));
    let (ledger, recovery) = after(&first, None);
    assert_eq!((ledger, recovery.event), (Ledger::default(), Some(Event::Aborted)));
    assert_eq!(
        recovery.why,
        "the throttle of user=u producer_byte_rate did not become 200: no quota stands as before"
    );
    let next = intends(stands(hold(Purpose::Throttle, None), 200.0), Some(100.0));
    let (ledger, recovery) = after(&next, Some(200.0));
    assert_eq!((ledger.holds[&slot()].ours, recovery.event), (Some(200.0), Some(Event::Aborted)));
}

#[test]
fn what_is_released_is_remembered() {
    for prior in [None, Some(900.0)] {
        let ours = stands(hold(Purpose::Throttle, prior), 200.0);
        let ends = Hold { phase: Phase::Releasing, ..intends(ours, prior) };
        let (ledger, recovery) = after(&ends, prior);
        assert!(ledger.holds.is_empty());
        let offence = &ledger.offences[&slot()];
        assert_eq!((offence.count, offence.forget), (3, Timestamp(65_000)));
        assert_eq!(recovery.event, Some(Event::Released));
    }
    // A sentinel punishes nobody, and neither does what never stood.
    let sentinel = intends(stands(hold(Purpose::Sentinel, None), 1e12), None);
    assert_eq!(after(&sentinel, None).0, Ledger::default());
    let nothing = intends(hold(Purpose::Throttle, None), None);
    assert_eq!(after(&nothing, None).0, Ledger::default());
}

#[test]
fn a_human_is_left_alone() {
    let ours = stands(hold(Purpose::Throttle, None), 200.0);
    for (hold, live) in [
        (ours.clone(), Some(7.0)),
        (ours.clone(), None),
        (intends(ours.clone(), Some(100.0)), Some(7.0)),
        (intends(ours.clone(), Some(100.0)), None),
        (intends(hold(Purpose::Sentinel, None), Some(1e12)), Some(7.0)),
    ] {
        let (ledger, recovery) = after(&hold, live);
        let held = &ledger.holds[&slot()];
        assert_eq!((held.phase, held.ours, held.intent), (Phase::Lost, None, None));
        assert_eq!(recovery.event, Some(Event::HumanTookOver));
        // Said once.
        assert_eq!(after(held, Some(8.0)).1.event, None);
    }
    assert_eq!(after(&ours, Some(200.0)).1, unchanged("it stands"));
}

/// What can happen to the quota while nobody looks.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// A request that is under way is applied.
    Applied,
    /// It never will be.
    Dropped,
    /// Somebody else sets or removes it.
    Human(Option<f64>),
    /// Milliseconds pass.
    Time(i64),
    /// The leader looks and settles what it can.
    Look,
    /// The leader wants another value and sends it, or fails to.
    Write(Option<f64>, bool),
}

fn happens() -> impl Strategy<Value = Happens> {
    let ours = prop_oneof![Just(100.0), Just(200.0)];
    prop_oneof![
        2 => Just(Happens::Applied),
        1 => Just(Happens::Dropped),
        1 => proptest::option::of(Just(7.0)).prop_map(Happens::Human),
        2 => (0i64..12_000).prop_map(Happens::Time),
        4 => Just(Happens::Look),
        3 => (proptest::option::weighted(0.7, ours), any::<bool>()).prop_map(|(to, sent)| Happens::Write(to, sent)),
    ]
}

/// A slot, who wrote its value, and a leader that obeys the protocol: intent, look, send; settle only what is not open.
struct World {
    now: Timestamp,
    ledger: Ledger,
    live: Option<f64>,
    by_us: bool,
    /// Requests that are sent and not applied yet, the oldest first.
    under_way: Vec<Intent>,
    prior: Option<f64>,
    purpose: Purpose,
}

impl World {
    fn hold(&self) -> Option<Hold> {
        self.ledger.holds.get(&slot()).cloned()
    }

    fn apply(&mut self) {
        if !self.under_way.is_empty() {
            let intent = self.under_way.remove(0);
            self.live = intent.to;
            // What was given back is not ours any more.
            self.by_us = !same(intent.to, self.prior);
        }
    }

    fn step(&mut self, what: Happens) {
        match what {
            Happens::Applied => self.apply(),
            Happens::Dropped => drop(self.under_way.pop()),
            Happens::Human(value) => {
                self.live = value;
                self.by_us = false;
            }
            Happens::Time(passes) => {
                self.now = Timestamp(self.now.0 + passes);
                // No request outlives its time.
                self.under_way.retain(|intent| self.now.since(intent.at) < IN_FLIGHT);
            }
            Happens::Look => self.look(),
            Happens::Write(to, sent) => self.write(to, sent),
        }
    }

    fn look(&mut self) {
        let Some(hold) = self.hold() else { return };
        if !is_open(&hold, self.live, self.now, IN_FLIGHT) {
            for change in reconcile(&hold, self.live, self.now).changes {
                self.ledger.apply(change);
            }
        }
    }

    fn write(&mut self, to: Option<f64>, sent: bool) {
        let held = self.hold();
        if held.as_ref().is_some_and(|hold| hold.intent.is_some() || hold.phase == Phase::Lost) {
            return;
        }
        // Only what stands as expected is overwritten.
        let expected = held.as_ref().map_or(self.prior, |hold| hold.ours);
        if !same(self.live, expected) || (held.is_none() && to.is_none()) {
            return;
        }
        let hold = held.unwrap_or_else(|| hold(self.purpose, self.live));
        let (to, phase) = match to {
            Some(to) => (Some(to), hold.phase),
            None => (hold.prior, Phase::Releasing),
        };
        let intent = Intent::new(self.live, to, self.now);
        self.ledger.apply(put(Hold { intent: Some(intent), phase, ..hold }));
        self.under_way.extend(sent.then_some(intent));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_never_claims_what_does_not_stand_nor_loses_what_does(
        prior in proptest::option::of(Just(900.0)),
        sentinel in any::<bool>(),
        story in proptest::collection::vec(happens(), 1..25),
    ) {
        let purpose = if sentinel { Purpose::Sentinel } else { Purpose::Throttle };
        let mut world = World { now: Timestamp(0), ledger: Ledger::default(), live: prior, by_us: false, under_way: Vec::new(), prior, purpose };
        for what in story {
            world.step(what);
            let settled = matches!(what, Happens::Look);
            let Some(hold) = world.hold() else {
                // A human who takes ours away makes a removal look done while it is under way: it gives back what stood.
                let gives_back = world.under_way.iter().all(|intent| same(intent.to, prior));
                prop_assert!(!world.by_us && gives_back, "a quota of ours is forgotten after {what:?}");
                continue;
            };
            // Ours stands or is under way: the hold is there, and says so once it has looked.
            if world.by_us && world.under_way.is_empty() && hold.intent.is_none() {
                prop_assert!(same(hold.ours, world.live), "{what:?}: {hold:?}");
            }
            if settled && hold.intent.is_none() && hold.ours.is_some() {
                prop_assert!(same(hold.ours, world.live), "claims {hold:?}, {:?} stands", world.live);
                prop_assert!(world.by_us);
            }
            if hold.phase == Phase::Lost {
                prop_assert!(hold.ours.is_none() && hold.intent.is_none());
            }
        }
        // Left alone, everything is settled in the end.
        world.step(Happens::Time(20_000));
        world.step(Happens::Look);
        let hold = world.hold();
        prop_assert!(hold.as_ref().is_none_or(|hold| hold.intent.is_none()));
        prop_assert_eq!(hold.is_some_and(|hold| hold.ours.is_some()), world.by_us);
    }
}
