//! A ledger or an audit topic that is not what was written.

use quota_enforcer::adapters::ledger::{End, Fault, ensure_topics};
use quota_enforcer::ports::{LedgerFault, LedgerStore as _};
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use testbed::wait;

use super::world::{LIMIT, World, entry, lead, world};

/// Commits until it is refused for good.
async fn until_lost(store: &quota_enforcer::adapters::ledger::Store) -> String {
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
    let settings = &world.place.settings;
    world.delete(&[&settings.ledger]).await;
    let text = until_lost(&leadership.store).await;
    assert!(text.contains(&settings.ledger) && text.contains("delete"), "{text}");
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
    world.delete(&[&world.place.settings.ledger]).await;
    ensure_topics(&world.place).await.unwrap();
    assert!(matches!(leadership.store.verify().await, Err(LedgerFault::Lost(_))));
    assert!(matches!(leadership.store.commit(&[], &[]).await, Err(LedgerFault::Lost(_))));
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_led_knows_when_both_topics_are_created_anew() {
    let world = world("both").await;
    let (mut election, leadership) = world.lead().await;
    leadership.store.commit(&[], &[entry("one")]).await.unwrap();
    let settings = &world.place.settings;
    world.delete(&[&settings.ledger, &settings.audit]).await;
    ensure_topics(&world.place).await.unwrap();
    assert!(matches!(leadership.store.verify().await, Err(LedgerFault::Lost(_))));
    let fault = lead(&mut election).await.err().expect("it is refused");
    assert!(matches!(&fault, Fault::Lost(text) if text.contains("led it in epoch 1")), "{fault}");
    election.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_topic_that_is_created_anew_is_refused_at_the_next_start() {
    let world = world("audit").await;
    let (election, leadership) = world.lead().await;
    leadership.store.commit(&[], &[entry("one")]).await.unwrap();
    leadership.store.resign(true).await.unwrap();
    election.leave().await;
    world.delete(&[&world.place.settings.audit]).await;
    let text = refused(&world).await;
    assert!(text.contains("the audit topic was emptied or created anew"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_topic_of_another_ledger_is_refused() {
    let mut world = world("first").await;
    let (election, leadership) = world.lead().await;
    leadership.store.resign(true).await.unwrap();
    election.leave().await;
    let first = world.place.settings.ledger.clone();
    world.delete(&[&first]).await;
    world.place.settings.ledger = "quota-enforcer-second-ledger".to_owned();
    let claims_gone = || async {
        let offsets = world.place.admin.group_offsets(quota_enforcer::adapters::ledger::IDENTITY).await?;
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
    let ledger = world.place.settings.ledger.clone();
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
