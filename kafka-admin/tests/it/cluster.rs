//! What else a cluster tells.

use std::collections::BTreeSet;

use anyhow::Result;
use kafka_admin::{Error, Filter, Topics};
use testbed::kafka::{Cluster, Listener};
use tokio::task::JoinSet;

use crate::support::enforcer;

#[tokio::test]
async fn a_cluster_names_itself_and_its_brokers() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = enforcer(&cluster).await;
    let described = client.describe_cluster().await?;
    assert_eq!(described.cluster_id, cluster.id());
    let address = |id: i32| cluster.broker(id).unwrap().address(Listener::SaslPlaintext).to_string();
    for broker in &described.brokers {
        let endpoint = format!("{}:{}", broker.endpoint.host, broker.endpoint.port);
        assert_eq!((endpoint, broker.fenced), (address(broker.id), false));
    }
    let ids: BTreeSet<_> = described.brokers.iter().map(|broker| broker.id).collect();
    assert_eq!(ids, BTreeSet::from([1, 2, 3]));
    Ok(())
}

#[tokio::test]
async fn metadata_name_leaders_and_what_is_not_there() -> Result<()> {
    let cluster = Cluster::shared().await?;
    cluster.create_topic("shared.metadata", 3, 2, &[]).await?;
    let client = crate::support::client(&cluster, Listener::Plaintext, "", &[]).await?;
    let metadata = client.metadata(Topics::Named(&["shared.metadata", "shared.missing"])).await?;
    assert_eq!(metadata.cluster_id.as_deref(), Some(cluster.id()));
    let topic = metadata.topics.iter().find(|topic| topic.name == "shared.metadata").unwrap();
    let leaders: Vec<_> = topic.partitions.iter().map(|partition| partition.leader).collect();
    assert_eq!(topic.partitions.len(), 3);
    assert!(leaders.contains(&Some(1)), "{leaders:?}");
    assert!(topic.partitions.iter().all(|partition| partition.replicas.len() == 2));
    let missing = metadata.topics.iter().find(|topic| topic.name == "shared.missing").unwrap();
    assert_eq!(missing.error.unwrap().to_string(), "UNKNOWN_TOPIC_OR_PARTITION (3)");
    let again = client.metadata(Topics::All).await?;
    assert!(again.topics.iter().all(|topic| topic.name != "shared.missing"), "asking must not create");
    Ok(())
}

#[tokio::test]
async fn a_broker_tells_its_own_configuration() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = enforcer(&cluster).await;
    let names = [
        "quota.window.num",
        "quota.window.size.seconds",
        "client.quota.callback.class",
        "num.io.threads",
        "num.network.threads",
        "node.id",
        "no.such.name",
    ];
    for id in 1..=3 {
        let configs = client.describe_broker_configs(id, &names).await?;
        let value = |name: &str| configs.get(name).map(String::as_str);
        assert_eq!(value("node.id"), Some(id.to_string().as_str()));
        assert_eq!((value("quota.window.num"), value("quota.window.size.seconds")), (Some("11"), Some("1")));
        assert!(value("num.io.threads").unwrap().parse::<u32>()? > 0);
        assert!(value("num.network.threads").unwrap().parse::<u32>()? > 0);
        assert_eq!(value("client.quota.callback.class"), None);
        assert!(!configs.contains_key("no.such.name"));
    }
    Ok(())
}

#[tokio::test]
async fn a_broker_tells_what_it_serves_and_one_that_is_not_there_is_named() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = enforcer(&cluster).await;
    let versions = client.api_versions_at(3).await?;
    assert!(versions.0.get(&48).is_some_and(|(least, most)| *least <= 1 && *most >= 1));
    assert!(versions.0.contains_key(&49));
    let error = client.api_versions_at(77).await.unwrap_err();
    assert!(matches!(error, Error::UnknownBroker(77)), "{error}");
    Ok(())
}

#[tokio::test]
async fn many_calls_at_the_same_time_are_answered() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = enforcer(&cluster).await;
    let mut calls = JoinSet::new();
    for index in 0..200 {
        let client = client.clone();
        calls.spawn(async move {
            match index % 3 {
                0 => client.describe_client_quotas_at(1, &Filter::all()).await.map(drop),
                1 => client.describe_broker_configs(1, &["node.id"]).await.map(drop),
                _ => client.api_versions_at(1).await.map(drop),
            }
        });
    }
    for result in calls.join_all().await {
        result?;
    }
    Ok(())
}
