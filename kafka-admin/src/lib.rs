//! A Kafka admin client: client quotas, and the calls around them.
//!
//! librdkafka has no calls for client quotas. This crate has them, over tokio and rustls, with the codec of `kafka-protocol`, and what a daemon
//! needs around them: a broker's versions and configuration, metadata, the cluster, consumer groups. librdkafka has most of those too; here they
//! share one connection per broker, one deadline and one kind of error with the quotas.
//! One [`Config`] in librdkafka's property names drives both this client and an `rdkafka` one.
//!
//! ```no_run
//! use kafka_admin::{Alteration, AlterMode, Client, Config, Entity, EntityPart, Filter};
//!
//! # async fn example() -> Result<(), kafka_admin::Error> {
//! let config = Config::new([
//!     ("bootstrap.servers", "kafka-1:9093,kafka-2:9093"),
//!     ("security.protocol", "SASL_SSL"),
//!     ("sasl.mechanisms", "SCRAM-SHA-512"),
//!     ("sasl.username", "quota-enforcer"),
//!     ("sasl.password.file", "/etc/quota-enforcer/password"),
//! ])?;
//! let client = Client::connect(config).await?;
//!
//! let alice = Entity::user_client(EntityPart::name("alice"), EntityPart::Default);
//! let ops = vec![("producer_byte_rate".to_owned(), Some(1_000_000.0))];
//! for altered in client.alter_client_quotas(&[Alteration { entity: alice.clone(), ops }], AlterMode::Apply).await {
//!     altered.result?;
//! }
//! for broker in client.describe_cluster().await?.brokers {
//!     let live = client.describe_client_quotas_at(broker.id, &Filter::exactly(&alice)).await?;
//!     println!("{}: {live:?}", broker.endpoint);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What a call costs at most
//! Every call ends within `admin.timeout.ms` (or [`Client::with_timeout`]), with an answer or an [`Error`] that names request, broker and reason.
//! Nothing is sent after that, not even by a process that was stopped meanwhile; what a broker has in its socket by then it may carry out much later,
//! when it was frozen. Reads are tried again, on another broker where any will do.
//! A write is tried again only when surely no broker got it; otherwise [`Error::outcome`] is [`Outcome::Unknown`] and the caller looks before
//! acting again. What a broker sends is bounded in size and checked before it is decoded.

mod calls;
mod client;
pub mod config;
mod connection;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod quota;
mod retry;
mod sasl;
mod secret;
mod tls;
mod wire;

pub use calls::alter_client_quotas::{AlterMode, Altered};
pub use calls::api_versions::ApiVersions;
pub use calls::describe_cluster::{Cluster, ClusterBroker};
pub use calls::groups::{GroupMember, GroupOffset};
pub use calls::metadata::{Metadata, Partition, Topic, Topics};
pub use client::Client;
pub use config::{Config, ConfigError, is_secret};
pub use error::{Endpoint, Error, ErrorCode, Outcome};
pub use quota::{Alteration, Entity, EntityPart, Filter, QuotaEntry};
