use bytes::BytesMut;

use super::*;

fn frame(id: i32) -> Bytes {
    BytesMut::from(&id.to_be_bytes()[..]).freeze()
}

#[test]
fn answers_find_their_callers_in_any_order() {
    let pending = Pending::default();
    let mut calls: Vec<_> = (0..3).map(|_| pending.enter().unwrap()).collect();
    assert!(calls.iter().all(|(id, _)| pending.begin(*id)));
    for id in [2, 0, 1] {
        pending.accept(frame(id)).unwrap();
        assert_eq!(calls[usize::try_from(id).unwrap()].1.try_recv(), Ok(Ok(frame(id))));
    }
}

#[test]
fn an_answer_that_nobody_asked_for_is_an_error() {
    let pending = Pending::default();
    let (id, _answer) = pending.enter().unwrap();
    // Not sent yet: a broker cannot know of it.
    assert!(pending.accept(frame(id)).unwrap_err().malformed);
    assert!(pending.accept(frame(7)).unwrap_err().malformed);
    let (id, _answer) = pending.enter().unwrap();
    pending.begin(id);
    pending.accept(frame(id)).unwrap();
    assert!(pending.accept(frame(id)).unwrap_err().malformed, "twice");
    assert!(pending.accept(Bytes::new()).unwrap_err().malformed);
}

#[test]
fn the_end_tells_each_caller_whether_its_request_was_sent() {
    let pending = Pending::default();
    let (sent, mut sent_answer) = pending.enter().unwrap();
    let (_, mut unsent_answer) = pending.enter().unwrap();
    pending.begin(sent);
    let broken = Broken::closed();
    pending.end(&broken);
    assert_eq!(sent_answer.try_recv(), Ok(Err(Failed { sent: true, broken: broken.clone() })));
    assert_eq!(unsent_answer.try_recv(), Ok(Err(Failed { sent: false, broken: broken.clone() })));
    pending.end(&Broken::new("later"));
    assert_eq!(pending.enter().unwrap_err(), Failed { sent: false, broken });
}

#[test]
fn a_request_whose_caller_has_gone_is_not_sent_and_its_late_answer_is_no_error() {
    let pending = Pending::default();
    let (id, answer) = pending.enter().unwrap();
    drop(answer);
    assert!(!pending.begin(id));
    let (id, answer) = pending.enter().unwrap();
    assert!(pending.begin(id));
    drop(answer);
    pending.accept(frame(id)).unwrap();
    assert!(!pending.withdraw(id));
}

#[test]
fn callers_are_bounded() {
    let pending = Pending::default();
    let _calls: Vec<_> = (0..MAX_WAITING).map(|_| pending.enter().unwrap()).collect();
    assert!(!pending.enter().unwrap_err().sent);
}
