use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn begin(pending: &Pending, id: i32) -> bool {
    pending.begin(id, Instant::now()).is_some()
}

fn frame(id: i32) -> Bytes {
    BytesMut::from(&id.to_be_bytes()[..]).freeze()
}

#[test]
fn answers_find_their_callers_in_any_order() {
    let pending = Pending::default();
    let mut calls: Vec<_> = (0..3).map(|_| pending.enter(later()).unwrap()).collect();
    assert!(calls.iter().all(|(id, _)| begin(&pending, *id)));
    for id in [2, 0, 1] {
        pending.accept(frame(id)).unwrap();
        assert_eq!(calls[usize::try_from(id).unwrap()].1.try_recv(), Ok(Ok(frame(id))));
    }
}

#[test]
fn an_answer_that_nobody_asked_for_is_an_error() {
    let pending = Pending::default();
    let (id, _answer) = pending.enter(later()).unwrap();
    // Not sent yet: a broker cannot know of it.
    assert!(pending.accept(frame(id)).unwrap_err().malformed);
    assert!(pending.accept(frame(7)).unwrap_err().malformed);
    let (id, _answer) = pending.enter(later()).unwrap();
    assert!(begin(&pending, id));
    pending.accept(frame(id)).unwrap();
    assert!(pending.accept(frame(id)).unwrap_err().malformed, "twice");
    assert!(pending.accept(Bytes::new()).unwrap_err().malformed);
}

#[test]
fn the_end_tells_each_caller_whether_its_request_was_sent() {
    let pending = Pending::default();
    let (sent, mut sent_answer) = pending.enter(later()).unwrap();
    let (_, mut unsent_answer) = pending.enter(later()).unwrap();
    assert!(begin(&pending, sent));
    let broken = Broken::closed();
    pending.end(&broken);
    assert_eq!(sent_answer.try_recv(), Ok(Err(Failed::Ended { sent: true, broken: broken.clone() })));
    assert_eq!(unsent_answer.try_recv(), Ok(Err(Failed::Ended { sent: false, broken: broken.clone() })));
    pending.end(&Broken::new("later"));
    assert_eq!(pending.enter(later()).unwrap_err(), Failed::Ended { sent: false, broken });
}

#[test]
fn a_request_whose_caller_has_gone_is_not_sent_and_its_late_answer_is_no_error() {
    let pending = Pending::default();
    let (id, answer) = pending.enter(later()).unwrap();
    drop(answer);
    assert!(!begin(&pending, id));
    let (id, answer) = pending.enter(later()).unwrap();
    assert!(begin(&pending, id));
    drop(answer);
    pending.accept(frame(id)).unwrap();
    assert!(!pending.withdraw(id));
}

#[test]
fn callers_are_bounded() {
    let pending = Pending::default();
    let _calls: Vec<_> = (0..MAX_WAITING).map(|_| pending.enter(later()).unwrap()).collect();
    let refused = pending.enter(later()).unwrap_err();
    assert!(matches!(refused, Failed::Ended { sent: false, .. }), "{refused:?}");
}

proptest! {
    #[test]
    fn what_has_missed_its_deadline_is_not_sent_and_says_so(
        calls in proptest::collection::vec((0_u64..20, 0_u64..20), 1..20),
    ) {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let pending = Pending::default();
        for (deadline, begun) in calls {
            let (id, mut answer) = pending.enter(at(deadline)).unwrap();
            let until = pending.begin(id, at(begun));
            prop_assert_eq!(until, (begun < deadline).then_some(at(deadline)));
            match until {
                Some(_) => prop_assert!(answer.try_recv().is_err(), "it is waited for"),
                None => prop_assert_eq!(answer.try_recv(), Ok(Err(Failed::Late))),
            }
            prop_assert_eq!(pending.withdraw(id), until.is_some());
        }
    }
}
