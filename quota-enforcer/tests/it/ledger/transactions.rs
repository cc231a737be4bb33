//! What is written is what is read.

use std::time::Duration;

use quota_enforcer::adapters::ledger::{End, Fault, read_ledger};
use quota_enforcer::commands::audit;
use quota_enforcer::ports::{LedgerFault, LedgerStore as _};
use quota_enforcer_core::audit::{Head, Proof};
use quota_enforcer_core::ledger::{Change, Fact, FactKey, Pause};
use quota_enforcer_core::time::Timestamp;
use rdkafka::TopicPartitionList;
use rdkafka::admin::AdminOptions;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, util::Timeout};
use testbed::wait::{self, LIMIT};

use super::world::{World, entry, lead, world};

fn pause(by: &str) -> Change {
    Change::Put(Fact::Pause(Pause { since: Timestamp(1), by: by.to_owned(), reason: "a test".to_owned() }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_and_chain_come_back_as_they_were_written() {
    let world = world("round").await;
    let (election, leadership) = world.lead().await;
    let store = leadership.store.clone();
    assert_eq!((leadership.epoch, store.ledger().head.unwrap().seq), (1, 1), "who leads is the first record");

    let head = store.commit(&[pause("alice")], &[entry("one"), entry("two")]).await.unwrap();
    assert_eq!(head.seq, 3);
    let read = read_ledger(&world.place).await.unwrap();
    assert_eq!(read, store.ledger());
    assert_eq!(read.pause.unwrap().by, "alice");

    let head = store.commit(&[Change::Remove(FactKey::Pause)], &[entry("three")]).await.unwrap();
    assert_eq!(read_ledger(&world.place).await.unwrap().pause, None);
    // Renewing writes no audit record.
    assert_eq!(store.commit(&[], &[]).await.unwrap(), head);
    let proof = world.prove(&head).await;
    assert_eq!((proof.first, proof.records, proof.head), (1, 4, head));
    store.verify().await.unwrap();
    store.resign(true).await.unwrap();
    assert!(matches!(store.commit(&[], &[]).await, Err(LedgerFault::Fenced)));
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_counts_from_the_last_transaction() {
    let world = world("lease").await;
    let (election, leadership) = world.lead().await;
    let store = &leadership.store;
    world.clock.forward(Duration::from_secs(14));
    assert!(store.lease_left() <= Duration::from_secs(1));
    world.clock.forward(Duration::from_secs(1));
    assert_eq!(store.lease_left(), Duration::ZERO);
    store.commit(&[], &[]).await.unwrap();
    assert!(store.lease_left() > Duration::from_secs(1));
    store.resign(true).await.unwrap();
    assert_eq!((store.lease_left(), store.end()), (Duration::ZERO, Some(End::Resigned)));
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_enough_replicas_nothing_is_written_and_nothing_is_guessed() {
    let world = world("isr").await;
    let (mut election, leadership) = world.lead().await;
    let store = leadership.store;
    let before = store.ledger();
    for id in [2, 3] {
        world.cluster.broker(id).unwrap().kill();
    }
    let (changes, entries) = ([pause("alice")], [entry("lost")]);
    let late = tokio::time::timeout(LIMIT, store.commit(&changes, &entries));
    let fault = late.await.expect("a bounded wait").unwrap_err();
    assert!(matches!(fault, LedgerFault::Unavailable(_) | LedgerFault::Fenced), "{fault}");
    assert_eq!(store.ledger(), before);
    let expired = || async { Ok((store.lease_left() == Duration::ZERO).then_some(())) };
    wait::until("the lease to end", LIMIT, expired).await.unwrap();

    world.cluster.heal().await.unwrap();
    // Whoever leads next, here the same process, goes on where the topics are.
    let again = match store.end() {
        None => store.clone(),
        Some(_) => loop {
            match lead(&mut election).await {
                Ok(leadership) => break leadership.store,
                Err(fault) => assert!(!fault.needs_a_human(), "{fault}"),
            }
        },
    };
    let committed = || async {
        match again.commit(&[], &[entry("after")]).await {
            Ok(head) => Ok(Some(head)),
            Err(LedgerFault::Unavailable(_)) if again.end().is_none() => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    };
    let head = wait::until("a transaction", LIMIT, committed).await.unwrap();
    assert_eq!(read_ledger(&world.place).await.unwrap(), again.ledger());
    world.prove(&head).await;
    again.verify().await.unwrap();
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_not_understood_is_not_acted_on() {
    let world = world("corrupt").await;
    let (mut election, leadership) = world.lead().await;
    let ledger = &world.place.settings.ledger.topic;
    let producer: FutureProducer = world.rdkafka().create().unwrap();
    let record =
        FutureRecord::to(ledger).partition(0).key(r#"{"of":"pause"}"#).payload(r#"{"fact":"riddle"}"#);
    let delivery = producer.send(record, Timeout::After(LIMIT)).await.unwrap();
    let fault = read_ledger(&world.place).await.unwrap_err();
    assert!(matches!(fault, Fault::Record { offset, .. } if offset == delivery.offset), "{fault}");
    assert!(matches!(leadership.store.verify().await, Err(LedgerFault::Lost(_))));
    assert!(matches!(leadership.store.end(), Some(End::Lost(_))));
    let fault = lead(&mut election).await.err().expect("it is refused");
    assert!(matches!(fault, Fault::Record { .. }) && fault.needs_a_human(), "{fault}");
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_keeps_the_last_of_each_fact() {
    let world = world("compact").await;
    let ledger = &world.place.settings.ledger.topic;
    // As it is made, but in a hurry.
    let hurried = [
        ("cleanup.policy", "compact"),
        ("min.insync.replicas", "2"),
        ("segment.ms", "1000"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "1000"),
    ];
    world.cluster.create_topic(ledger, 1, 3, &hurried).await.unwrap();
    let (election, leadership) = world.lead().await;
    let store = leadership.store;
    let mut written = 2;
    let compacted = || {
        written += 2;
        let (store, by) = (store.clone(), format!("alice {written}"));
        let count = count(&world, ledger);
        async move {
            store.commit(&[pause(&by)], &[]).await?;
            store.commit(&[], &[]).await?;
            Ok((count + 2 < written).then_some(by))
        }
    };
    let by = wait::until("compaction", LIMIT, compacted).await.unwrap();
    let read = read_ledger(&world.place).await.unwrap();
    assert_eq!(read.pause.as_ref().unwrap().by, by);
    assert_eq!(read, store.ledger());
    store.verify().await.unwrap();
    election.leave().await;
}

/// How many records a topic holds.
fn count(world: &World, topic: &str) -> usize {
    let mut config = world.rdkafka();
    config.set("group.id", "quota-enforcer-count").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&all).unwrap();
    let mut count = 0;
    loop {
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(message)) if message.key().is_some() => count += 1,
            Some(Err(KafkaError::PartitionEOF(_))) => return count,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_retention_trimmed_is_still_proved() {
    let world = world("trimmed").await;
    let (election, leadership) = world.lead().await;
    let mut head = Head::default();
    for why in ["one", "two", "three"] {
        head = leadership.store.commit(&[], &[entry(why)]).await.unwrap();
    }
    leadership.store.resign(false).await.unwrap();
    election.leave().await;

    let trim = async |offset| {
        let mut until = TopicPartitionList::new();
        until.add_partition_offset(&world.place.settings.ledger.audit_topic, 0, offset).unwrap();
        world.admin().delete_records(&until, &AdminOptions::new()).await.unwrap();
    };
    trim(Offset::Offset(3)).await;
    let proof = world.prove(&head).await;
    assert!(proof.first > 1, "{proof:?}");
    let (election, leadership) = world.lead().await;
    assert_eq!(leadership.epoch, 2);
    leadership.store.resign(false).await.unwrap();
    election.leave().await;

    trim(Offset::End).await;
    let found = audit::prove(&world.place).await.unwrap();
    let gone = Proof { first: 6, head: leadership.store.ledger().head.unwrap(), records: 0 };
    assert_eq!((found.whole, found.proof), (true, Some(gone)), "retention took everything");
    let (election, leadership) = world.lead().await;
    let head = leadership.store.commit(&[], &[entry("four")]).await.unwrap();
    assert_eq!(world.prove(&head).await.records, 2);
    election.leave().await;
}
