//! Brokers that die.

use std::time::Duration;

use quota_enforcer_core::ledger::Phase;
use testbed::kafka::Listener;

use super::{Quotas, World, ours, rule, throttle, until};

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
async fn the_controller_dies_in_the_middle_of_a_write() {
    if super::core_only() {
        return;
    }
    let world = World::new(rule()).await;
    world.ready().await;
    world.throttled().await;
    let controller = controller(&world).await;
    println!("broker {controller} is the controller");

    // It hangs before the write is sent, so that the write gets no answer, and dies with it.
    world.cluster.broker(controller).unwrap().pause().unwrap();
    world.stage.wild.set_rate(super::CALM);
    let order = ["release", "user=mallory", "--by", "tester", "--reason", "a test"];
    let answer = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let order = scope.spawn(|| world.stage.command(&order));
            // What is tried is that the write is under way.
            std::thread::sleep(Duration::from_secs(2));
            world.cluster.broker(controller).unwrap().kill();
            order.join().unwrap()
        })
    });
    println!("the order: {answer:?}");
    // With another controller it is settled what came of the write, and the release goes on.
    world.until("the release", |status| throttle(status).is_none()).await;
    assert_eq!(world.look().await, Quotas::new());
    world.cluster.restart(controller).await.unwrap();
    world.agreed().await;

    // The new controller takes writes as the old one did.
    world.throttled().await;
    world.released().await;
    world.proved();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_dies_and_comes_back_with_empty_counters_frees_nobody() {
    let world = World::new(rule()).await;
    world.ready().await;
    let held = world.held().await;
    let controller = controller(&world).await;
    let victim = world.cluster.brokers().iter().map(testbed::kafka::Broker::id).find(|id| *id != controller);
    let victim = world.cluster.broker(victim.unwrap()).unwrap();
    victim.kill();
    world.until("one broker less", |status| status.brokers == 2).await;
    let live = world.agreed().await;
    assert_eq!(live, ours(std::slice::from_ref(&held)), "held as before");
    let counted = || async {
        let query = "count(kafka_server_quota_byte_rate{resource=\"Produce\", user=\"mallory\"})";
        Ok(world.stage.prometheus.value(query).await?.filter(|count| *count == 2.0).map(drop))
    };
    until("its series to be gone", counted).await.unwrap();
    assert_eq!(throttle(&world.status().await.unwrap()).unwrap().phase, Phase::Holding);

    // Its sensors begin at nothing.
    world.cluster.restart(victim.id()).await.unwrap();
    world.until("three brokers", |status| status.brokers == 3).await;
    let begin = world.status().await.unwrap().at;
    world.until("some ticks", |status| status.at.since(begin).as_secs() >= 8).await;
    let hold = throttle(&world.status().await.unwrap()).cloned().expect("the hold stands");
    assert!(hold.ours.is_some() && hold.ours <= held.ours, "{hold:?}");
    world.agreed().await;
    world.released().await;
    world.proved();
}
