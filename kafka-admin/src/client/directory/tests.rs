use super::*;

fn endpoint(id: impl Into<Option<i32>>, port: u16) -> Endpoint {
    Endpoint { id: id.into(), host: "localhost".to_owned(), port }
}

fn metadata(controller: Option<i32>, brokers: Vec<Endpoint>) -> Metadata {
    Metadata { cluster_id: None, controller, brokers, topics: Vec::new() }
}

fn directory() -> Directory {
    let mut directory = Directory::new(vec![endpoint(None, 1), endpoint(None, 9)]);
    directory.learn(&metadata(Some(2), vec![endpoint(1, 1), endpoint(2, 2), endpoint(3, 3)]));
    directory
}

#[test]
fn a_broker_by_its_id_is_that_one_or_none() {
    let directory = directory();
    let tried = [endpoint(3, 3)];
    assert_eq!(directory.choose(Target::Broker(3), &tried), Some(endpoint(3, 3)));
    assert_eq!(directory.choose(Target::Broker(4), &[]), None);
}

#[test]
fn any_is_who_answered_last_then_others_then_the_bootstrap_servers_then_all_again() {
    let mut directory = directory();
    directory.prefer(&endpoint(3, 3), true);
    let mut tried = Vec::new();
    for _ in 0..5 {
        tried.push(directory.choose(Target::Any, &tried).unwrap());
    }
    assert_eq!(tried[0], endpoint(3, 3));
    let mut others = tried[1..3].to_vec();
    others.sort();
    assert_eq!(others, [endpoint(1, 1), endpoint(2, 2)]);
    assert!(tried[3..].iter().all(|endpoint| endpoint.id.is_none()));
    assert!(directory.choose(Target::Any, &tried).is_some());
    directory.prefer(&endpoint(3, 3), false);
    assert_eq!(directory.preferred, None);
}

#[test]
fn the_controller_comes_first_and_any_other_when_it_has_failed() {
    let directory = directory();
    assert_eq!(directory.choose(Target::Controller, &[]), Some(endpoint(2, 2)));
    let second = directory.choose(Target::Controller, &[endpoint(2, 2)]).unwrap();
    assert!([Some(1), Some(3)].contains(&second.id));
}

#[test]
fn an_empty_answer_does_not_make_brokers_unknown() {
    let mut directory = directory();
    directory.learn(&metadata(None, Vec::new()));
    assert_eq!(directory.brokers.len(), 3);
    assert_eq!(directory.addresses().len(), 4);
}
