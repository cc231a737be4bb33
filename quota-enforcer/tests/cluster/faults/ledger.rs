//! A ledger that is gone, and a principal that may not.

use quota_enforcer::status::Role;
use quota_enforcer_core::ledger::Phase;
use testbed::kafka::NOBODY;

use super::{TOPICS, WILD, World, rule, until, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_ledger_it_refuses_and_leaves_everything_as_it_is() {
    let mut world = World::new(rule()).await;
    world.ready().await;
    let hold = world.throttled().await;
    assert_ne!(hold.phase, Phase::Lost);
    world.cluster.delete_topics(&TOPICS[..1]).await.unwrap();
    let refused = world.until("to refuse", |status| status.role == Role::Refused).await;
    let why = refused.blockers.join("; ");
    assert!(why.contains(TOPICS[0]), "{why}");
    world.until_metric("max(quota_enforcer_refused)", 1.0).await;
    let live = world.look().await;
    world.stage.wild.set_rate(WILD);
    world.until("some ticks", |status| status.at.since(refused.at).as_secs() >= 5).await;
    assert_eq!(world.look().await, live, "a quota that nobody knows the origin of is left to a person");
    assert_eq!(live.len(), 1);

    // The same after a restart: the audit topic remembers what the new ledger does not.
    world.stage.enforcer.stop();
    world.stage.enforcer.start().await.unwrap();
    world.until("to refuse again", |status| status.role == Role::Refused).await;
    world.human_sets(&user("mallory"), super::PRODUCE, None).await;
    assert!(world.look().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_principal_that_may_not_is_told_what_it_lacks() {
    let world = World::new(rule()).await;
    world.ready().await;
    let mut replica = world.stage.replica(&rule(), NOBODY).unwrap();
    let refused = until("a plan to be refused", || async {
        let (code, out, err) = replica.command(&["plan"])?;
        println!("{out}{err}");
        Ok((code == Some(1) && err.to_lowercase().contains("authoriz")).then_some(()))
    });
    refused.await.unwrap();
    replica.spawn(None).unwrap();
    let told = || {
        let log = replica.log().to_lowercase();
        async move { Ok(log.contains("authoriz").then_some(())) }
    };
    until("to be told", told).await.unwrap();
    world.throttled().await;
    world.released().await;
}
