use std::time::Duration;

use proptest::prelude::*;

use self::broker::{Broker, Keeps, Phase, Sensor};
use super::*;

mod broker;

const KEY: Key = Key::ProducerByteRate;
const SECOND: Duration = Duration::from_secs(1);

fn safety(num: u32, connections: u32, request_bytes: f64, bound: Duration) -> Safety {
    Safety { window: Window::new(num, SECOND), burst: Burst { connections, request_bytes }, bound }
}

/// Obeys [`next`] until it is the last step, then lets the client do what it wants; the longest mute in milliseconds.
/// Between two steps only what one scrape saw is known.
fn obey(mut broker: Broker, safety: &Safety, target: f64, start: i64, pauses: &[i64]) -> Option<i64> {
    let longest = i64::try_from(safety.window.longest.as_millis()).unwrap();
    broker.run_to((start - longest).max(0));
    broker.peak = 0.0;
    broker.run_to(start);
    let mut peak = broker.peak;
    for pause in pauses.iter().cycle().take(40) {
        let step = next(peak, broker.bound, target, 0.0, safety, KEY)?;
        broker.bound = Some(step.to);
        let until = broker.now + longest + pause;
        broker.run_to(until);
        // The worst that one can see: the last scrape only.
        peak = broker.sensor.measure(until).0;
        if step.last {
            break;
        }
    }
    broker.run_to(broker.now + 8 * longest);
    Some(broker.longest_mute)
}

/// A client that is silent for longer than the window and then sends all it can.
fn bursts(connections: usize, bytes: f64, silence: i64) -> Vec<Vec<Phase>> {
    let quiet = Phase { lasts: silence, bytes: 0.0, gap: 1 };
    let wild = Phase { lasts: 60_000, bytes, gap: 1 };
    vec![vec![quiet, wild]; connections]
}

#[test]
fn the_textbook_form_is_not_enough() {
    for (connections, bytes) in [(1, 900_000.0), (20, 45_000.0)] {
        // (O·W + B)/(W + M) for a client that was silent, with W = M = 10 s.
        let bound = 0.1 * f64::from(connections) * bytes;
        let sensor = Sensor::new(11, 1000, Keeps::Overlapping);
        let mut broker = Broker::new(sensor, bursts(connections as usize, bytes, 15_000));
        broker.bound = Some(bound);
        broker.run_to(120_000);
        assert!(broker.longest_mute > 17_000, "{} connections: {} ms", connections, broker.longest_mute);

        let safety = safety(11, connections as u32, bytes, Duration::from_secs(10));
        let sensor = Sensor::new(11, 1000, Keeps::Overlapping);
        let broker = Broker::new(sensor, bursts(connections as usize, bytes, 15_000));
        let mute = obey(broker, &safety, 1.0, 14_000, &[0]).unwrap();
        assert!((3000..=10_000).contains(&mute), "{connections} connections: {mute} ms");
    }
}

#[test]
fn figures_of_a_default_broker() {
    let safety = safety(11, 20, 64_000.0, Duration::from_secs(10));
    let window = safety.window;
    assert_eq!((window.longest, window.shortest), (Duration::from_secs(12), Duration::from_secs(10)));
    // b = B/T; 2 + b + √(b² + 24b) = 0.95 · 10 at b = 1.44.
    assert!((safety.burst.bytes() / safety.floor() - 1.44).abs() < 0.01, "{}", safety.floor());
    // One step from 10 MB/s: 2 + b + √(λ² + 24b) = 10 with λ = 12 · (10 MB/s / T − 1).
    let to = safety.lowest_safe(1e7, None);
    assert!((6.15e6..6.18e6).contains(&to), "{to}");
    // The reproduced case: 500 kB/s to 50 kB/s mutes for 90 s and more.
    assert!(safety.mute(5e5, None, 5e4) > Duration::from_secs(90));
}

#[test]
fn request_time_goes_to_the_target_at_once() {
    let step = next(900.0, None, 12.5, 0.0, &safety(11, 1, 1e6, Duration::ZERO), Key::RequestPercentage);
    assert_eq!(step.map(|step| (step.to, step.last)), Some((12.5, true)));
}

#[test]
fn what_is_no_number_is_not_acted_on() {
    let safety = safety(11, 1, 1000.0, Duration::from_secs(10));
    for wrong in [f64::NAN, f64::INFINITY] {
        assert_eq!(next(wrong, None, 1.0, 0.0, &safety, KEY), None);
        assert_eq!(next(1.0, Some(wrong), 1.0, 0.0, &safety, KEY), None);
        assert_eq!(next(1.0, None, wrong, 0.0, &safety, KEY), None);
        assert_eq!(next(1.0, None, 1.0, wrong, &safety, KEY), None);
        let burst = Burst { connections: 1, request_bytes: wrong };
        assert_eq!(next(1.0, None, 1.0, 0.0, &Safety { burst, ..safety }, KEY), None);
        assert_eq!(safety.mute(wrong, None, 1.0), Duration::MAX);
    }
    // A bound that the window alone exceeds.
    assert_eq!(next(1.0, None, 1.0, 0.0, &Safety { bound: SECOND, ..safety }, KEY), None);
    assert_eq!(Window::worst([]), None);
}

fn phase(bytes: f64) -> impl Strategy<Value = Phase> {
    // Silence, full requests and small ones, at full speed or slowly.
    let size = prop_oneof![2 => Just(0.0), 3 => Just(1.0), 1 => 0.01..1.0f64];
    let gap = prop_oneof![Just(1i64), 1i64..50, 50i64..3000];
    let lasts = prop_oneof![1i64..2000, 1i64..30_000];
    (lasts, size, gap).prop_map(move |(lasts, size, gap)| Phase { lasts, bytes: size * bytes, gap })
}

fn connections(bytes: f64) -> impl Strategy<Value = Vec<Vec<Phase>>> {
    let own = || proptest::collection::vec(phase(bytes), 1..6);
    let alone = proptest::collection::vec(own(), 1..8);
    // All of one mind make the worst bursts.
    let together = (own(), 1usize..25).prop_map(|(phases, count)| vec![phases; count]);
    prop_oneof![alone, together]
}

fn any_safety() -> impl Strategy<Value = Safety> {
    let window = (2u32..15, 1u64..3).prop_map(|(num, size)| Window::new(num, Duration::from_secs(size)));
    let burst = (1u32..30, 1.0..2e6f64);
    (window, burst, 1u64..60_000).prop_map(|(window, (connections, request_bytes), bound)| Safety {
        window,
        burst: Burst { connections, request_bytes },
        bound: Duration::from_millis(bound),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn no_connection_is_muted_for_longer(
        connections in connections(100_000.0),
        (num, size) in (2u32..15, 1i64..3),
        keeps in prop_oneof![Just(Keeps::Overlapping), Just(Keeps::Begun)],
        bound in 3_000u64..40_000,
        target in prop_oneof![Just(1.0), 1e3..1e6f64],
        start in 1i64..60_000,
        pauses in proptest::collection::vec(0i64..15_000, 1..4),
    ) {
        let window = Window::new(num, Duration::from_secs(u64::try_from(size).unwrap()));
        let burst = Burst { connections: u32::try_from(connections.len()).unwrap(), request_bytes: 100_000.0 };
        let safety = Safety { window, burst, bound: Duration::from_millis(bound) };
        let broker = Broker::new(Sensor::new(num, size * 1000, keeps), connections);
        if let Some(mute) = obey(broker, &safety, target, start, &pauses) {
            prop_assert!(mute <= i64::try_from(bound).unwrap(), "{mute} ms");
        }
    }
}

proptest! {
    #[test]
    fn steps_keep_the_bound_and_end_at_the_goal(
        safety in any_safety(),
        peak in 0.0..1e10f64,
        target in 1.0..1e9f64,
        floor in 0.0..1e6f64,
    ) {
        let Some(mut step) = next(peak, None, target, floor, &safety, KEY) else { return Ok(()) };
        let goal = target.max(floor).max(safety.floor()).ceil();
        let mut steps = 1;
        while !step.last {
            prop_assert!(step.mute <= safety.bound && step.to > goal);
            let before = step.to;
            step = next(before, Some(before), target, floor, &safety, KEY).unwrap();
            prop_assert!(step.to < before);
            steps += 1;
        }
        prop_assert_eq!(step.to, goal);
        prop_assert!(step.mute <= safety.bound);
        // From ten gigabytes a second to next to nothing.
        let tight = safety.bound < (safety.window.longest - safety.window.shortest) * 2;
        prop_assert!(tight || steps < 200, "{} steps", steps);
    }

    #[test]
    fn a_step_never_raises_nor_goes_below_what_was_asked(
        safety in any_safety(),
        peak in 0.0..1e9f64,
        standing in 1.0..1e9f64,
        target in 1.0..1e9f64,
    ) {
        let standing = standing.floor();
        if let Some(step) = next(peak, Some(standing), target, 0.0, &safety, KEY) {
            prop_assert!(step.to <= standing && step.to.fract() == 0.0);
            prop_assert!(step.to == standing || (step.to >= target && step.mute <= safety.bound));
        }
    }

    #[test]
    fn worse_conditions_never_cut_further(
        safety in any_safety(),
        worse in (1.0..3.0f64, 1.0..3.0f64, 0u32..3, 0u64..20_000),
        peak in 0.0..1e9f64,
        target in 1.0..1e6f64,
    ) {
        let (more_peak, more_bytes, more_num, less_bound) = worse;
        let window = Window::worst([safety.window, Window::new(11 + more_num, SECOND)]).unwrap();
        let burst = Burst { request_bytes: safety.burst.request_bytes * more_bytes, ..safety.burst };
        let bound = safety.bound.saturating_sub(Duration::from_millis(less_bound));
        let harder = Safety { window, burst, bound };
        let easy = next(peak, None, target, 0.0, &safety, KEY);
        let hard = next(peak * more_peak, None, target, 0.0, &harder, KEY);
        if let Some(hard) = hard {
            prop_assert!(easy.is_some_and(|easy| easy.to <= hard.to + 1.0), "{:?} {:?}", easy, hard);
        }
    }
}
