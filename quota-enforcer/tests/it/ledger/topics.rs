//! Making and checking the topics.

use quota_enforcer::adapters::ledger::{Fault, ensure_topics};
use testbed::kafka::{ENFORCER, Grant, Operation, Resource};

use super::world::world;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_made_as_they_are_wanted_and_stay() {
    let world = world("made").await;
    for _ in 0..2 {
        assert_eq!(ensure_topics(&world.place).await.unwrap(), Vec::<String>::new());
    }
    for topic in [&world.place.settings.ledger.topic, &world.place.settings.ledger.audit_topic] {
        let partitions = world.cluster.partitions(topic).await.unwrap();
        assert_eq!(partitions.len(), 1);
        assert_eq!(partitions[0].replicas.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_are_named_with_what_is_right() {
    let world = world("wrong").await;
    let ledger = &world.place.settings.ledger;
    let unsafe_ledger = [("cleanup.policy", "delete"), ("unclean.leader.election.enable", "true")];
    world.cluster.create_topic(&ledger.topic, 2, 1, &unsafe_ledger).await.unwrap();
    world.cluster.create_topic(&ledger.audit_topic, 1, 3, &[("retention.ms", "60000")]).await.unwrap();
    let fault = ensure_topics(&world.place).await.unwrap_err();
    assert!(fault.needs_a_human());
    let text = fault.to_string();
    for said in [
        "has 2 partitions, it must have 1",
        "has 1 replicas and 3 are wanted",
        "--add-config cleanup.policy=compact",
        "--add-config unclean.leader.election.enable=false",
    ] {
        assert!(text.contains(said), "{said} is missing in {text}");
    }

    world.cluster.delete_topics(&[&ledger.topic]).await.unwrap();
    let warnings = ensure_topics(&world.place).await.unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("keeps records for 60000 ms only"), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_create_is_told_what_to_create() {
    let mut world = world("forbidden").await;
    world.place.settings.ledger.topic = "elsewhere-ledger".to_owned();
    let refused = ensure_topics(&world.place).await.unwrap_err();
    assert!(
        matches!(&refused, Fault::Topics(text) if text[0].contains("TOPIC_AUTHORIZATION_FAILED")),
        "{refused}"
    );

    let topic = Resource::Topic(world.place.settings.ledger.topic.clone());
    let look = [Operation::Describe, Operation::DescribeConfigs];
    world.cluster.grant(&[Grant::new(ENFORCER, topic, &look)]).await.unwrap();
    let text = ensure_topics(&world.place).await.unwrap_err().to_string();
    assert!(
        text.contains("allow Create, or run kafka-topics --create --topic elsewhere-ledger --partitions 1"),
        "{text}"
    );
    assert!(text.contains("--config cleanup.policy=compact"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_replicas_than_brokers_is_said() {
    let mut world = world("many").await;
    world.place.settings.ledger.replication = 5;
    let fault = ensure_topics(&world.place).await.unwrap_err();
    assert!(fault.to_string().contains("cannot have 5 replicas on 3 brokers: set replication: 3"), "{fault}");
}
