//! A thousand clients that cost this machine little more than one.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, ProduceRequest, ProduceResponse, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest, SaslHandshakeResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP,
    Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::super::wire::{check, exchange};
use super::super::{Cluster, Listener, Mechanism, password};

/// How long a broker may wait for its replicas.
const TIMEOUT_MS: i32 = 30_000;
/// The last that names topics instead of telling their ids.
const PRODUCE_VERSION: i16 = 12;

/// Producers of one user with a client id each (`crowd-0`, `crowd-1`, …). Each of them produces to one broker, once a second.
///
/// A client id is a word in the header of each request, so those of one broker share one connection; the broker measures
/// each as it does any client. Dropping it ends them.
#[derive(Debug)]
pub struct Crowd {
    connections: JoinSet<Result<()>>,
}

impl Crowd {
    /// Starts `clients` producers to a topic, of `rate` bytes a second each. The user is one of the cluster's options.
    ///
    /// # Errors
    /// When a broker refuses them, or leads no partition of the topic.
    pub async fn start(
        cluster: &Cluster,
        user: &str,
        topic: &str,
        clients: usize,
        rate: usize,
    ) -> Result<Self> {
        let batch = batch(rate)?;
        let partitions = cluster.partitions(topic).await?;
        let brokers = cluster.brokers();
        let mut connections = JoinSet::new();
        for (index, broker) in brokers.iter().enumerate() {
            let led = partitions.iter().find(|partition| partition.leader == broker.id());
            let partition =
                led.with_context(|| format!("broker {} leads nothing of {topic}", broker.id()))?.index;
            let members: Vec<String> =
                (index..clients).step_by(brokers.len()).map(|number| format!("crowd-{number}")).collect();
            let mut stream = TcpStream::connect(broker.address(Listener::SaslPlaintext)).await?;
            authenticate(&mut stream, user).await?;
            let request = produce(topic, partition, &batch);
            connections.spawn(async move { run(stream, &members, &request).await });
        }
        Ok(Self { connections })
    }

    /// Whether every connection goes on.
    ///
    /// # Errors
    /// Why one has ended.
    pub fn check(&mut self) -> Result<()> {
        self.connections.try_join_next().map_or(Ok(()), |ended| ended?)
    }
}

/// Each member in turn, every one once a second; what is missed is not made up for.
async fn run(mut stream: TcpStream, members: &[String], request: &ProduceRequest) -> Result<()> {
    let gap = Duration::from_secs(1) / u32::try_from(members.len().max(1))?;
    let mut pace = interval(gap);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for member in members.iter().cycle() {
        pace.tick().await;
        let answer: ProduceResponse =
            exchange(&mut stream, ApiKey::Produce, PRODUCE_VERSION, member, request).await?;
        for partition in answer.responses.iter().flat_map(|topic| &topic.partition_responses) {
            check("produce", partition.error_code, partition.error_message.as_ref())?;
        }
    }
    Ok(())
}

/// SASL PLAIN: RFC 4616.
async fn authenticate(stream: &mut TcpStream, user: &str) -> Result<()> {
    let mechanism = StrBytes::from_static_str(Mechanism::Plain.name());
    let handshake = SaslHandshakeRequest::default().with_mechanism(mechanism);
    let answer: SaslHandshakeResponse =
        exchange(stream, ApiKey::SaslHandshake, 1, "crowd", &handshake).await?;
    check("choose PLAIN", answer.error_code, None)?;
    let token = Bytes::from(format!("\0{user}\0{}", password(user)));
    let login = SaslAuthenticateRequest::default().with_auth_bytes(token);
    let answer: SaslAuthenticateResponse =
        exchange(stream, ApiKey::SaslAuthenticate, 2, "crowd", &login).await?;
    check("log in", answer.error_code, answer.error_message.as_ref())
}

/// One record of so many bytes.
fn batch(bytes: usize) -> Result<Bytes> {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: NO_TIMESTAMP,
        key: None,
        value: Some(Bytes::from(vec![b'x'; bytes])),
        headers: IndexMap::new(),
    };
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut batch = BytesMut::new();
    RecordBatchEncoder::encode(&mut batch, [&record], &options)?;
    Ok(batch.freeze())
}

fn produce(topic: &str, partition: i32, batch: &Bytes) -> ProduceRequest {
    let records = PartitionProduceData::default().with_index(partition).with_records(Some(batch.clone()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_data(vec![records]);
    ProduceRequest::default().with_acks(1).with_timeout_ms(TIMEOUT_MS).with_topic_data(vec![topic])
}
