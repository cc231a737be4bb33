//! Two replicas.

use quota_enforcer::status::{Role, Status};
use quota_enforcer_core::ledger::Phase;
use testbed::kafka::ENFORCER;
use testbed::wait::LIMIT;

use super::{PRODUCE, Quotas, World, ours, rule, slot, throttle, until, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_paused_past_its_lease_writes_nothing_when_it_wakes() {
    let world = World::new(rule()).await;
    world.ready().await;
    let mut standby = world.stage.replica(&rule(), ENFORCER).unwrap();
    standby.start().await.unwrap();
    let first = world.throttled().await;
    let of_standby =
        || async { Ok::<Status, anyhow::Error>(serde_json::from_value(standby.status().await?)?) };
    let stands_by = || async { Ok((of_standby().await?.role == Role::Standby).then_some(())) };
    until("the second to stand by", stands_by).await.unwrap();

    // In the middle of cutting.
    world.stage.enforcer.pause().unwrap();
    let leads = || async {
        let status = of_standby().await?;
        Ok((status.role == Role::Leader).then_some(status))
    };
    let status = until("the standby to lead", leads).await.unwrap();
    assert!(
        throttle(&status).is_some_and(|hold| slot(hold) == slot(&first)),
        "it took the hold over: {status:?}"
    );
    // It goes on where the other one stopped.
    let goes_on = || async {
        let status = of_standby().await?;
        let hold = throttle(&status).cloned();
        Ok(hold.filter(|hold| hold.phase == Phase::Holding && hold.intent.is_none()))
    };
    until("the standby to go on", goes_on).await.unwrap();

    // One quota, the new leader's: it may go on to a lower bound, and what another process wrote would be a human's to it.
    let of_the_new_leader = || async {
        let status = of_standby().await?;
        let settled =
            throttle(&status).is_some_and(|hold| hold.intent.is_none() && hold.phase != Phase::Lost);
        let live = world.look().await;
        Ok((settled && live.len() == 1 && live == ours(&status.holds)).then_some(()))
    };
    until("what stands to be the new leader's", of_the_new_leader).await.unwrap();

    world.stage.enforcer.resume().unwrap();
    let woken = world.until("the old one to know", |status| status.role == Role::Standby).await;
    assert!(!woken.blockers.is_empty(), "{woken:?}");
    // It sees the runaway for some ticks and does nothing about it.
    let later = woken.at;
    world.until("some ticks of the old one", |status| status.at.since(later).as_secs() >= 5).await;
    until("what stands to be the new leader's", of_the_new_leader).await.unwrap();
    // No record of the old epoch follows one of the new.
    let export = world.run(&["audit", "export"]).await;
    let epochs: Vec<u64> = export
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["epoch"].as_u64().unwrap())
        .collect();
    assert!(epochs.is_sorted() && epochs.first() < epochs.last(), "{epochs:?}");

    // In order again.
    standby.stop();
    world.until("the old one to lead again", |status| status.role == Role::Leader).await;
    world.released().await;
    world.proved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_stopped_between_look_and_write_writes_nothing_when_it_wakes() {
    let mut world = World::new(rule()).await;
    world.ready().await;
    let mut standby = world.stage.replica(&rule(), ENFORCER).unwrap();
    world.throttled().await;
    // The first write of this process is a release. No write of the ledger comes between the look before it and itself:
    // only the lease can hold it back.
    world.stage.enforcer.stop();
    world.calm().await;
    world.stage.enforcer.spawn(Some("described:stop")).unwrap();
    world.stage.enforcer.paused(LIMIT).await.unwrap();

    standby.start().await.unwrap();
    let leads = || async {
        let status: Status = serde_json::from_value(standby.status().await?)?;
        Ok((status.role == Role::Leader).then_some(()))
    };
    until("the standby to lead", leads).await.unwrap();
    world.human_sets(&user("mallory"), PRODUCE, Some(123_456.0)).await;
    world.stage.enforcer.resume().unwrap();
    let woken = world.until("the old one to know", |status| status.role == Role::Standby).await;
    world.until("some ticks of the old one", |status| status.at.since(woken.at).as_secs() >= 5).await;
    assert_eq!(world.look().await, Quotas::new(), "what the human wrote stands");
    standby.stop();
}
