//! Two ledgers for one cluster.

use std::sync::Arc;

use quota_enforcer::adapters::ledger::{Election, Fault, ensure_topics};
use quota_enforcer::ports::LedgerStore as _;

use super::world::{entry, lead, place, settings, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_ledger_is_refused_while_the_first_is_led_and_after() {
    let world = world("mine").await;
    let (election, leadership) = world.lead().await;
    // Somebody else, who sees of the first ledger that it is there, and no more.
    let other = place(&world.cluster, "bob", settings("theirs"), Arc::clone(&world.place.clock)).await;
    ensure_topics(&other).await.unwrap();
    for _ in 0..2 {
        let fault = Election::join(other.clone()).await.err().expect("it is refused");
        assert!(matches!(fault, Fault::Rival(_)) && fault.needs_a_human(), "{fault}");
        assert!(
            fault
                .to_string()
                .contains("this cluster has another ledger, quota-enforcer-mine-ledger (here claimed it"),
            "{fault}"
        );
        // The first is not disturbed, and may have gone.
        if leadership.store.end().is_none() {
            leadership.store.commit(&[], &[entry("undisturbed")]).await.unwrap();
            leadership.store.resign(true).await.unwrap();
        }
    }
    election.leave().await;
    assert!(
        matches!(Election::join(other.clone()).await, Err(Fault::Rival(_))),
        "the claim outlives the leader"
    );

    // The first one's claim ends with its ledger.
    world.cluster.delete_topics(&[&world.place.settings.ledger.topic]).await.unwrap();
    let joined = || async {
        match Election::join(other.clone()).await {
            Ok(election) => Ok(Some(election)),
            Err(Fault::Rival(_)) => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    };
    let mut election = testbed::wait::until("the claim to end", testbed::wait::LIMIT, joined).await.unwrap();
    lead(&mut election).await.unwrap().store.resign(true).await.unwrap();
    election.leave().await;
}
