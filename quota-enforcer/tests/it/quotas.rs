//! The brokers' quotas, through the port that the engine uses.

use std::time::Duration;

use kafka_admin::{AlterMode, Alteration, Client, Config, EntityPart};
use quota_enforcer::adapters::quotas::Quotas;
use quota_enforcer::ports::Quotas as _;
use quota_enforcer_core::entity::{Entity, Part};
use quota_enforcer_core::quota::{Key, Slot};
use testbed::kafka::{Cluster, ENFORCER, Listener, NOBODY};
use testbed::wait::{self, LIMIT};

async fn client(cluster: &Cluster, user: &str) -> Client {
    let properties = cluster.client_properties(Listener::SaslPlaintext, user);
    Client::connect(Config::new(properties).unwrap()).await.unwrap()
}

fn slot(entity: Entity, key: Key) -> Slot {
    Slot { entity, key }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_is_seen_on_every_broker_and_goes_again() {
    let cluster = Cluster::shared().await.unwrap();
    let quotas = Quotas::new(client(&cluster, ENFORCER).await);
    let pair = || Entity::pair("alice", "quotas app/1");
    let produce = slot(pair(), Key::ProducerByteRate);
    let consume = slot(pair(), Key::ConsumerByteRate);
    let default = slot(Entity::Pair(Part::name("quotas carol"), Part::Default), Key::RequestPercentage);
    let writes = [(produce.clone(), Some(5e4)), (default.clone(), Some(12.5)), (consume.clone(), Some(6e4))];

    let results = quotas.alter(&writes, true).await.unwrap();
    assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
    assert_eq!(quotas.snapshot().await.unwrap().get(&produce), None, "asking writes nothing");

    let results = quotas.alter(&writes, false).await.unwrap();
    assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
    let slots: Vec<Slot> = writes.iter().map(|(slot, _)| slot.clone()).collect();
    for broker in quotas.cluster().await.unwrap().brokers.into_keys() {
        let live = || async {
            let snapshot = quotas.told_by(broker, &slots).await?;
            Ok(writes.iter().all(|(slot, value)| snapshot.get(slot) == *value).then_some(()))
        };
        wait::until("quotas on a broker", LIMIT, live).await.unwrap();
    }

    let removals: Vec<_> = writes.iter().map(|(slot, _)| (slot.clone(), None)).collect();
    quotas.alter(&removals, false).await.unwrap();
    let gone = || async {
        let snapshot = quotas.snapshot().await?;
        Ok(writes.iter().all(|(slot, _)| snapshot.get(slot).is_none()).then_some(()))
    };
    wait::until("quotas to be gone", LIMIT, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_refused_does_not_hold_back_the_others() {
    let cluster = Cluster::shared().await.unwrap();
    let quotas = Quotas::new(client(&cluster, ENFORCER).await);
    let good = slot(Entity::client_id("quotas good"), Key::ProducerByteRate);
    let bad = slot(Entity::client_id("quotas bad"), Key::ProducerByteRate);
    let results = quotas.alter(&[(bad, Some(-1.0)), (good.clone(), Some(7e4))], false).await.unwrap();
    assert!(results[0].as_ref().unwrap_err().contains("greater than 0"), "{results:?}");
    assert_eq!(results[1], Ok(()));
    quotas.alter(&[(good, None)], false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_of_addresses_and_other_keys_are_left_out() {
    let cluster = Cluster::shared().await.unwrap();
    let admin = client(&cluster, ENFORCER).await;
    let ip = kafka_admin::Entity::ip(EntityPart::name("127.0.0.9"));
    let user = kafka_admin::Entity::user(EntityPart::name("quotas mutator"));
    let set = |value: Option<f64>| {
        [
            Alteration { entity: ip.clone(), ops: vec![("connection_creation_rate".to_owned(), value)] },
            Alteration { entity: user.clone(), ops: vec![("controller_mutation_rate".to_owned(), value)] },
        ]
    };
    for altered in admin.alter_client_quotas(&set(Some(50.0)), AlterMode::Apply).await {
        altered.result.unwrap();
    }
    let seen = || async {
        let all = admin.describe_client_quotas(&kafka_admin::Filter::all()).await?;
        Ok(all.iter().any(|entry| entry.entity == user).then_some(()))
    };
    wait::until("the quotas", LIMIT, seen).await.unwrap();
    let snapshot = Quotas::new(admin.clone()).snapshot().await.unwrap();
    assert!(snapshot.iter().all(|(slot, _)| slot.entity != Entity::user("quotas mutator")));
    for altered in admin.alter_client_quotas(&set(None), AlterMode::Apply).await {
        altered.result.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_tells_its_brokers_and_their_windows() {
    let cluster = Cluster::exclusive().await.unwrap();
    let quotas = Quotas::new(client(&cluster, ENFORCER).await);
    let told = quotas.cluster().await.unwrap();
    assert_eq!(told.id, cluster.id());
    assert_eq!(told.brokers.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    for info in told.brokers.values() {
        assert_eq!((info.windows, info.window), (11, Duration::from_secs(1)));
    }
    assert_eq!(told.custom_callback, None);

    cluster.broker(3).unwrap().kill();
    let noticed = || async {
        let told = quotas.cluster().await?;
        let brokers: Vec<_> = told.brokers.keys().copied().collect();
        // Until the controller has noticed, the third is a doubt.
        assert!(!told.doubts.is_empty() || !brokers.contains(&3), "{told:?}");
        anyhow::Ok((brokers == [1, 2]).then_some(()))
    };
    wait::until("the broker to be left out", LIMIT, noticed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_told_so() {
    let cluster = Cluster::shared().await.unwrap();
    let quotas = Quotas::new(client(&cluster, NOBODY).await);
    let refused = quotas.snapshot().await.unwrap_err().to_string();
    assert!(refused.contains("CLUSTER_AUTHORIZATION_FAILED"), "{refused}");
    let write = [(slot(Entity::user("alice"), Key::ProducerByteRate), Some(1e6))];
    let results = quotas.alter(&write, false).await.unwrap();
    assert!(results[0].as_ref().unwrap_err().contains("CLUSTER_AUTHORIZATION_FAILED"), "{results:?}");
}
