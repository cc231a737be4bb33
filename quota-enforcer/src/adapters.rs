//! The world: Prometheus, the brokers' quotas, the ledger in Kafka.

pub mod ledger;
pub mod prometheus;
pub mod quotas;
