//! DescribeCluster (60): the cluster's id and its brokers.

use kafka_protocol::messages::{ApiKey, DescribeClusterRequest, DescribeClusterResponse};

use crate::client::{Client, Target};
use crate::error::{Endpoint, Error};
use crate::wire::shape::{INT8, INT16, INT32, Kind, Shape, always, since};
use crate::wire::{Call, Refusal};

impl Call for DescribeClusterRequest {
    type Response = DescribeClusterResponse;
    const KEY: ApiKey = ApiKey::DescribeCluster;
    const VERSIONS: (i16, i16) = (0, 2);
    const SHAPE: Shape = Shape {
        flexible: 0,
        fields: &[
            always(INT32),
            always(INT16),
            always(Kind::String),
            since(1, INT8),
            always(Kind::String),
            always(INT32),
            always(Kind::Structs(&[
                always(INT32),
                always(Kind::String),
                always(INT32),
                always(Kind::String),
                since(2, INT8),
            ])),
            always(INT32),
        ],
        tags: &[],
    };

    fn refusal(response: &DescribeClusterResponse) -> Option<Refusal> {
        Refusal::new(response.error_code, response.error_message.as_ref())
    }
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its id, which never changes.
    pub cluster_id: String,
    /// Its brokers; with version 2 of the request those that are registered but fenced off too.
    pub brokers: Vec<ClusterBroker>,
}

/// A broker of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterBroker {
    /// Its id.
    pub id: i32,
    /// Its address for clients.
    pub endpoint: Endpoint,
    /// Whether the controller has no heartbeat of it, so that it serves nobody.
    pub fenced: bool,
}

impl Client {
    /// The cluster's id and its brokers, also those that are down if the servers tell (Kafka 4.0 and later).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn describe_cluster(&self) -> Result<Cluster, Error> {
        let request = DescribeClusterRequest::default().with_include_fenced_brokers(true);
        let response = self.read(Target::Any, &request).await?;
        let brokers = response.brokers.into_iter().filter_map(|broker| {
            let id = broker.broker_id.0;
            let port = u16::try_from(broker.port).ok()?;
            Some(ClusterBroker {
                id,
                endpoint: Endpoint { id: Some(id), host: broker.host.to_string(), port },
                fenced: broker.is_fenced,
            })
        });
        Ok(Cluster { cluster_id: response.cluster_id.to_string(), brokers: brokers.collect() })
    }
}
