//! Two replicas.

use quota_enforcer::status::{Role, Status};
use quota_enforcer_core::ledger::Phase;
use testbed::kafka::ENFORCER;

use super::{Quotas, WILD, World, rule, slot, throttle, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_paused_past_its_lease_writes_nothing_when_it_wakes() {
    let world = World::new(rule()).await;
    world.ready().await;
    let mut standby = world.stage.replica(&rule(), ENFORCER).unwrap();
    standby.start().await.unwrap();
    let first = world.throttled().await;
    let of_standby =
        || async { Ok::<Status, anyhow::Error>(serde_json::from_value(standby.status().await?)?) };
    assert_eq!(of_standby().await.unwrap().role, Role::Standby);

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
    let held = until("the standby to go on", goes_on).await.unwrap();
    let live = world.look().await;
    assert_eq!(live, Quotas::from([(slot(&held), held.ours.unwrap())]), "one quota, the new leader's");

    world.stage.enforcer.resume().unwrap();
    let woken = world.until("the old one to know", |status| status.role == Role::Standby).await;
    assert!(!woken.blockers.is_empty(), "{woken:?}");
    // It has seen the runaway for some ticks and done nothing about it.
    world.stage.wild.set_rate(WILD);
    let later = woken.at;
    world.until("some ticks of the old one", |status| status.at.since(later).as_secs() >= 5).await;
    assert_eq!(world.look().await, live, "what the new leader set stands");

    // It is heard of nowhere in the records of the time after.
    standby.stop();
    world.until("the old one to lead again", |status| status.role == Role::Leader).await;
    world.released().await;
    world.proved();
}
