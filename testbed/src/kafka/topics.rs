//! Topics, and who leads their partitions.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, BrokerId, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    ElectLeadersRequest, ElectLeadersResponse, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::wire::{call, check};

const METADATA_VERSION: i16 = 12;
/// `ELECTION_NOT_NEEDED`: the preferred replica leads already.
const NOT_NEEDED: i16 = 84;
/// `UNKNOWN_TOPIC_OR_PARTITION`.
const UNKNOWN: i16 = 3;
/// `TOPIC_ALREADY_EXISTS`.
const EXISTS: i16 = 36;

/// One partition as a broker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Topic.
    pub topic: String,
    /// Number, from 0.
    pub index: i32,
    /// Node id of the leader; negative when there is none.
    pub leader: i32,
    /// Node ids, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those that have everything.
    pub in_sync: Vec<i32>,
}

impl Partition {
    /// Whether all replicas have everything and the preferred one leads.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.replicas.len() == self.in_sync.len() && self.replicas.first() == Some(&self.leader)
    }
}

/// What a broker knows of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Node ids of the brokers that are up.
    pub(crate) brokers: Vec<i32>,
    /// Partitions of the topics that were asked for.
    pub(crate) partitions: Vec<Partition>,
}

/// Asks a broker for its view; with `topic` of that one's partitions (none when it does not exist), else of all.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn view(broker: SocketAddr, topic: Option<&str>) -> Result<View> {
    let topics = topic.map(|name| vec![MetadataRequestTopic::default().with_name(Some(topic_name(name)))]);
    let request = MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false);
    let answer: MetadataResponse = call(broker, ApiKey::Metadata, METADATA_VERSION, &request).await?;
    let mut partitions = Vec::new();
    for topic in &answer.topics {
        let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
        partitions.extend(topic.partitions.iter().map(|partition| Partition {
            topic: name.clone(),
            index: partition.partition_index,
            leader: *partition.leader_id,
            replicas: ids(&partition.replica_nodes),
            in_sync: ids(&partition.isr_nodes),
        }));
    }
    Ok(View { brokers: answer.brokers.iter().map(|broker| *broker.node_id).collect(), partitions })
}

/// Creates a topic whose partitions are led by node 1, 2, … in turn. One that exists is left as it is.
///
/// # Errors
/// When the broker refuses.
pub(crate) async fn create(
    broker: SocketAddr,
    brokers: i32,
    name: &str,
    partitions: i32,
    replication: i32,
    configs: &[(&str, &str)],
) -> Result<()> {
    let assignments = (0..partitions).map(|partition| {
        let nodes =
            (0..replication.min(brokers)).map(|replica| BrokerId((partition + replica) % brokers + 1));
        CreatableReplicaAssignment::default().with_partition_index(partition).with_broker_ids(nodes.collect())
    });
    let configs = configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(assignments.collect())
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000);
    let answer: CreateTopicsResponse = call(broker, ApiKey::CreateTopics, 7, &request).await?;
    let result = answer.topics.first().context("no answer about the topic")?;
    if result.error_code == EXISTS {
        return Ok(());
    }
    check(&format!("create topic {name}"), result.error_code, result.error_message.as_ref())
}

/// Deletes topics. One that does not exist is as good as deleted.
///
/// # Errors
/// When the broker refuses.
pub(crate) async fn delete(broker: SocketAddr, names: &[&str]) -> Result<()> {
    let topics = names.iter().map(|name| DeleteTopicState::default().with_name(Some(topic_name(name))));
    let request = DeleteTopicsRequest::default().with_topics(topics.collect()).with_timeout_ms(60_000);
    let answer: DeleteTopicsResponse = call(broker, ApiKey::DeleteTopics, 6, &request).await?;
    for result in answer.responses.iter().filter(|result| result.error_code != UNKNOWN) {
        check("delete a topic", result.error_code, result.error_message.as_ref())?;
    }
    Ok(())
}

/// Gives every partition back to its preferred leader.
///
/// # Errors
/// When the controller does not answer.
pub(crate) async fn elect_preferred(broker: SocketAddr) -> Result<()> {
    let request = ElectLeadersRequest::default()
        .with_election_type(0)
        .with_topic_partitions(None)
        .with_timeout_ms(60_000);
    let answer: ElectLeadersResponse = call(broker, ApiKey::ElectLeaders, 2, &request).await?;
    if answer.error_code == NOT_NEEDED {
        return Ok(());
    }
    check("elect leaders", answer.error_code, None)
}

fn ids(nodes: &[BrokerId]) -> Vec<i32> {
    nodes.iter().map(|node| **node).collect()
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
