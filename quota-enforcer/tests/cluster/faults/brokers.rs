//! Brokers that die.

use quota_enforcer::status::Status;
use quota_enforcer_core::ledger::Phase;
use testbed::kafka::Listener;
use testbed::wait::LIMIT;

use super::{WILD, World, ours, rule, throttle, until};

/// The active controller's node id, by Kafka's own tool.
async fn controller(world: &World) -> i32 {
    let bootstrap = world.cluster.bootstrap(Listener::Plaintext);
    let arguments = ["--bootstrap-server", &bootstrap, "describe", "--status"];
    let text = world.cluster.tool("org.apache.kafka.tools.MetadataQuorumCommand", &arguments).await.unwrap();
    let leader =
        text.lines().find_map(|line| line.strip_prefix("LeaderId:")).expect("the quorum has a leader");
    leader.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_controller_hangs_in_the_middle_of_a_write_and_dies() {
    let mut world = World::new(rule()).await;
    world.ready().await;
    let controller = controller(&world).await;
    println!("broker {controller} is the controller");
    // Up to the write, which is forwarded to a controller that does not answer.
    world.stage.enforcer.stop();
    world.stage.enforcer.spawn(Some("described:stop")).unwrap();
    world.stage.wild.set_rate(WILD);
    world.stage.enforcer.paused(LIMIT).await.unwrap();
    world.cluster.broker(controller).unwrap().pause().unwrap();
    world.stage.enforcer.resume().unwrap();
    let unknown =
        |status: &Status| status.faults.iter().any(|fault| fault.contains("may or may not be written"));
    let status = world.until("the outcome to be unknown", unknown).await;
    let intent = throttle(&status).and_then(|hold| hold.intent).expect("the intent stays open");

    // It dies with the write in its hands; the broker that forwarded it sends it to the next one. It is known as ours.
    world.cluster.broker(controller).unwrap().kill();
    let hold = world.hold("the write to be settled", |hold| hold.ours.is_some()).await;
    assert!(hold.written > Some(intent.at), "{hold:?}");
    world.look().await;
    world.cluster.restart(controller).await.unwrap();
    world.held().await;
    world.released().await;
    world.proved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_dies_and_comes_back_with_empty_counters_frees_nobody() {
    let world = World::new(rule()).await;
    world.ready().await;
    let controller = controller(&world).await;
    let held = world.held().await;
    let victim = world.cluster.brokers().iter().map(testbed::kafka::Broker::id).find(|id| *id != controller);
    let victim = world.cluster.broker(victim.unwrap()).unwrap();
    victim.kill();
    world.until("one broker less", |status| status.brokers == 2).await;
    let live = world.agreed().await;
    // Its load has moved to the others, where a tighter bound may be right.
    let before = ours(std::slice::from_ref(&held));
    assert!(live.keys().eq(before.keys()) && live.values().le(before.values()), "{live:?} after {before:?}");
    let counted = || async {
        let query = "count(kafka_server_quota_byte_rate{resource=\"Produce\", user=\"mallory\"})";
        Ok(world.stage.prometheus.value(query).await?.filter(|count| *count == 2.0).map(drop))
    };
    until("its series to be gone", counted).await.unwrap();
    world.hold("the hold to stand", |hold| hold.phase == Phase::Holding).await;

    // Its sensors begin at nothing.
    world.cluster.restart(victim.id()).await.unwrap();
    world.until("three brokers", |status| status.brokers == 3).await;
    let begin = world.status().await.unwrap().at;
    world.until("some ticks", |status| status.at.since(begin).as_secs() >= 8).await;
    let hold = throttle(&world.status().await.unwrap()).cloned().expect("the hold stands");
    assert!(hold.ours.is_some() && hold.ours <= held.ours, "{hold:?}");
    world.agreed().await;
    world.released().await;
    world.proved().await;
}
