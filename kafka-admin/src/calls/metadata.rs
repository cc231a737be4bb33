//! Metadata (3): brokers, topics, leaders.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{ApiKey, BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::client::{Client, Target};
use crate::error::{Endpoint, Error, ErrorCode};
use crate::wire::shape::{Field, INT8, INT16, INT32, Kind, Shape, UUID, always, since};
use crate::wire::{Call, Refusal};

const IDS: Kind = Kind::Array(&INT32);
const BROKER: &[Field] = &[always(INT32), always(Kind::String), always(INT32), always(Kind::String)];
const PARTITION: &[Field] =
    &[always(INT16), always(INT32), always(INT32), since(7, INT32), always(IDS), always(IDS), since(5, IDS)];
const TOPIC: &[Field] = &[
    always(INT16),
    always(Kind::String),
    since(10, UUID),
    always(INT8),
    always(Kind::Structs(PARTITION)),
    since(8, INT32),
];

/// From version 4 on a request can forbid that it creates topics.
impl Call for MetadataRequest {
    type Response = MetadataResponse;
    const KEY: ApiKey = ApiKey::Metadata;
    const VERSIONS: (i16, i16) = (4, 13);
    const SHAPE: Shape = Shape {
        flexible: 9,
        fields: &[
            always(INT32),
            always(Kind::Structs(BROKER)),
            always(Kind::String),
            always(INT32),
            always(Kind::Structs(TOPIC)),
            Field { versions: (8, 10), kind: INT32 },
            since(13, INT16),
        ],
        tags: &[],
    };

    fn refusal(response: &MetadataResponse) -> Option<Refusal> {
        Refusal::new(response.error_code, None)
    }
}

/// What one broker knows of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// Whom to send to what the controller decides. With KRaft this is any broker, which forwards.
    pub controller: Option<i32>,
    /// The brokers that are up.
    pub brokers: Vec<Endpoint>,
    /// The topics asked for.
    pub topics: Vec<Topic>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Why nothing is known of it, such as `UNKNOWN_TOPIC_OR_PARTITION`.
    pub error: Option<ErrorCode>,
    /// What tells it from an earlier topic of the same name. All zeros when the broker does not know (before Kafka 2.8).
    pub id: u128,
    /// Its partitions.
    pub partitions: Vec<Partition>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The broker that serves it, if there is one.
    pub leader: Option<i32>,
    /// The brokers that keep it.
    pub replicas: Vec<i32>,
}

/// Which topics to describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topics<'a> {
    /// All that the principal may describe.
    All,
    /// These.
    Named(&'a [&'a str]),
}

impl Topics<'_> {
    /// Brokers only.
    pub const NONE: Self = Self::Named(&[]);
}

pub(crate) fn request(topics: Topics<'_>) -> MetadataRequest {
    let topic = |name: &&str| {
        let name = TopicName(StrBytes::from_string((*name).to_owned()));
        MetadataRequestTopic::default().with_name(Some(name))
    };
    let topics = match topics {
        Topics::All => None,
        Topics::Named(names) => Some(names.iter().map(topic).collect()),
    };
    MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(false)
}

impl Metadata {
    pub(crate) fn new(response: MetadataResponse) -> Self {
        let brokers = response.brokers.into_iter().filter_map(|broker| {
            let port = u16::try_from(broker.port).ok()?;
            Some(Endpoint { id: Some(broker.node_id.0), host: broker.host.to_string(), port })
        });
        Self {
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller: node(response.controller_id),
            brokers: brokers.collect(),
            topics: response.topics.into_iter().map(topic).collect(),
        }
    }
}

/// Kafka writes -1 for none.
fn node(id: BrokerId) -> Option<i32> {
    (id.0 >= 0).then_some(id.0)
}

fn topic(topic: MetadataResponseTopic) -> Topic {
    let partition = |partition: MetadataResponsePartition| Partition {
        leader: node(partition.leader_id),
        replicas: partition.replica_nodes.iter().map(|id| id.0).collect(),
    };
    Topic {
        name: topic.name.map(|name| name.0.to_string()).unwrap_or_default(),
        error: Refusal::new(topic.error_code, None).map(|refusal| refusal.code),
        id: topic.topic_id.as_u128(),
        partitions: topic.partitions.into_iter().map(partition).collect(),
    }
}

impl Client {
    /// Brokers, and topics with their partitions. Creates no topic.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn metadata(&self, topics: Topics<'_>) -> Result<Metadata, Error> {
        let metadata = Metadata::new(self.read(Target::Any, &request(topics)).await?);
        self.learn(&metadata);
        Ok(metadata)
    }
}
