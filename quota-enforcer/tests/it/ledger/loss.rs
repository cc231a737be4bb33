//! A ledger or an audit topic that is not what was written.

use std::sync::Arc;

use quota_enforcer::adapters::ledger::{Election, End, Fault, IDENTITY, Store};
use quota_enforcer::commands::audit;
use quota_enforcer::ports::{LedgerFault, LedgerStore as _};
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use testbed::kafka::ENFORCER;
use testbed::wait::{self, LIMIT};

use super::world::{World, ensure, entry, lead, lead_once, place, world};

/// Commits until it is refused for good.
async fn until_lost(store: &Store) -> String {
    let lost = || async {
        match store.commit(&[], &[entry("into the void")]).await {
            Err(LedgerFault::Lost(text)) => Ok(Some(text)),
            // It takes a moment until every broker knows.
            Ok(_) | Err(LedgerFault::Unavailable(_)) if store.end().is_none() => Ok(None),
            other => panic!("{other:?}, {:?}", store.end()),
        }
    };
    wait::until("the loss to be seen", LIMIT, lost).await.unwrap()
}

/// Why the ledger is refused at the next start.
async fn refused(world: &World) -> String {
    let mut election = world.join().await;
    let fault = lead(&mut election).await.err().expect("it is refused");
    assert!(matches!(fault, Fault::Lost(_)) && fault.needs_a_human(), "{fault}");
    election.leave().await;
    fault.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_is_deleted_while_it_is_led_ends_the_leadership() {
    let world = world("deleted").await;
    let (election, leadership) = world.lead().await;
    let ledger = &world.place.settings.ledger.topic;
    world.cluster.delete_topics(&[ledger]).await.unwrap();
    let text = until_lost(&leadership.store).await;
    assert!(text.contains(ledger) && text.contains("delete"), "{text}");
    assert!(matches!(leadership.store.end(), Some(End::Lost(_))), "{:?}", leadership.store.end());
    election.leave().await;
    // The audit topic remembers what the new ledger does not.
    let text = refused(&world).await;
    assert!(text.contains("the ledger was emptied or created anew"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_is_created_anew_while_it_is_led_is_another() {
    let world = world("anew").await;
    let (election, leadership) = world.lead().await;
    for why in ["one", "two", "three"] {
        leadership.store.commit(&[], &[entry(why)]).await.unwrap();
    }
    world.cluster.delete_topics(&[&world.place.settings.ledger.topic]).await.unwrap();
    ensure(&world.place).await;
    assert!(matches!(leadership.store.verify().await, Err(LedgerFault::Lost(_))));
    assert!(matches!(leadership.store.commit(&[], &[]).await, Err(LedgerFault::Lost(_))));
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_led_knows_when_both_topics_are_created_anew() {
    let world = world("both").await;
    let (mut election, leadership) = world.lead().await;
    leadership.store.commit(&[], &[entry("one")]).await.unwrap();
    world.delete_both().await;
    ensure(&world.place).await;
    assert!(matches!(leadership.store.verify().await, Err(LedgerFault::Lost(_))));
    let fault = lead(&mut election).await.err().expect("it is refused");
    assert!(matches!(&fault, Fault::Lost(text) if text.contains("led it in epoch 1")), "{fault}");
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_led_does_not_wait_for_topics_that_are_gone() {
    let world = world("gone").await;
    let (mut election, leadership) = world.lead().await;
    leadership.store.resign(true).await.unwrap();
    world.delete_both().await;
    let fault = lead(&mut election).await.err().expect("it is refused");
    assert!(matches!(&fault, Fault::Lost(text) if text.contains("led, is gone")), "{fault}");
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_topic_that_the_brokers_do_not_know_yet_is_waited_for() {
    let world = world("late").await;
    ensure(&world.place).await;
    world.cluster.delete_topics(&[&world.place.settings.ledger.audit_topic]).await.unwrap();
    let mut election = Election::join(world.place.clone()).await.unwrap();
    let fault = lead_once(&mut election).await.err().expect("one is missing");
    assert!(matches!(fault, Fault::Late(_)) && !fault.needs_a_human(), "{fault}");
    ensure(&world.place).await;
    lead(&mut election).await.unwrap();
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_topic_that_is_created_anew_is_refused_at_the_next_start() {
    let world = world("audit").await;
    let (election, leadership) = world.lead().await;
    leadership.store.commit(&[], &[entry("one")]).await.unwrap();
    leadership.store.resign(true).await.unwrap();
    election.leave().await;
    world.cluster.delete_topics(&[&world.place.settings.ledger.audit_topic]).await.unwrap();
    let text = refused(&world).await;
    assert!(text.contains("the audit topic was emptied or created anew"), "{text}");
    let found = audit::prove(&world.place).await.unwrap();
    assert!(!found.whole && found.broken.as_ref().unwrap().contains("anchors record 2"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_topic_of_another_ledger_is_refused() {
    let mut world = world("first").await;
    let (election, leadership) = world.lead().await;
    leadership.store.resign(true).await.unwrap();
    election.leave().await;
    world.cluster.delete_topics(&[&world.place.settings.ledger.topic]).await.unwrap();
    let mut second = world.place.settings.clone();
    second.ledger.topic = "quota-enforcer-second-ledger".to_owned();
    world.place = place(&world.cluster, ENFORCER, second, Arc::clone(&world.place.clock)).await;
    let claims_gone = || async {
        let offsets = world.place.admin.group_offsets(IDENTITY).await?;
        Ok(offsets.is_empty().then_some(()))
    };
    wait::until("the claim to go with its topic", LIMIT, claims_gone).await.unwrap();
    let text = refused(&world).await;
    assert!(text.contains("or this is the audit topic of another ledger"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_is_cut_off_is_refused() {
    let world = world("cut").await;
    let (election, leadership) = world.lead().await;
    for why in ["one", "two", "three"] {
        leadership.store.commit(&[], &[entry(why)]).await.unwrap();
    }
    leadership.store.resign(true).await.unwrap();
    election.leave().await;
    let ledger = world.place.settings.ledger.topic.clone();
    // Kafka cuts records off only where they may be deleted.
    world.configure(&ledger, "cleanup.policy=delete").await;
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&ledger, 0, Offset::Offset(3)).unwrap();
    let cut = || async {
        let cut = world.admin().delete_records(&before, &AdminOptions::new()).await?;
        // It takes a moment until every broker knows the new setting.
        Ok(cut.elements()[0].error().is_ok().then_some(()))
    };
    wait::until("records to be deleted", LIMIT, cut).await.unwrap();
    world.configure(&ledger, "cleanup.policy=compact").await;
    let text = refused(&world).await;
    assert!(text.contains("begins with record 3: what lay before it was deleted"), "{text}");
}
