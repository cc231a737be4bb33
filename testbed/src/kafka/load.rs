//! Real producers and consumers, as users of the cluster.
//!
//! A [`Producer`] sends at a rate that can be changed at any time, over one or many connections, and remembers what was
//! acknowledged; a [`Consumer`] reads and says what of it is missing. [`Exposition`] shows producers to Prometheus.
//! A [`Crowd`] is a thousand client ids at once.

mod consumer;
mod crowd;
mod exposition;
mod histogram;
mod pace;
mod producer;
mod tally;

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

pub use consumer::{Consumer, ConsumerOptions};
pub use crowd::Crowd;
pub use exposition::Exposition;
pub use producer::{Outcome, Producer, ProducerOptions};
pub use tally::{Acknowledged, Reading, Totals};

/// librdkafka's configuration: `base`, and what `properties` say otherwise.
fn config(base: &[(&str, &str)], properties: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in base {
        config.set(*key, *value);
    }
    for (key, value) in properties {
        config.set(key, value);
    }
    config
}
