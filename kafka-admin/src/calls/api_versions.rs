//! ApiVersions (18): which requests in which versions a broker serves.

use std::collections::BTreeMap;

use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::client::{Client, Target};
use crate::error::{Endpoint, Error};
use crate::wire::shape::{Field, INT8, INT16, INT32, INT64, Kind, Shape, always, since};
use crate::wire::{Call, Refusal};

const FEATURES: Kind = Kind::Structs(&[always(Kind::String), always(INT16), always(INT16)]);

impl Call for ApiVersionsRequest {
    type Response = ApiVersionsResponse;
    const KEY: ApiKey = ApiKey::ApiVersions;
    const VERSIONS: (i16, i16) = (0, 3);
    const SHAPE: Shape = Shape {
        flexible: 3,
        fields: const {
            const API: &[Field] = &[always(INT16), always(INT16), always(INT16)];
            &[always(INT16), always(Kind::Structs(API)), since(1, INT32)]
        },
        tags: &[(0, FEATURES), (1, INT64), (2, FEATURES), (3, INT8)],
    };

    fn refusal(response: &ApiVersionsResponse) -> Option<Refusal> {
        Refusal::new(response.error_code, None)
    }
}

/// With the name that shows in the broker's metrics.
pub(crate) fn request() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("backstop-kafka-admin"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")))
}

/// Least and greatest version by the number of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiVersions(pub BTreeMap<i16, (i16, i16)>);

impl ApiVersions {
    pub(crate) fn new(response: &ApiVersionsResponse) -> Self {
        let range = |api: &kafka_protocol::messages::api_versions_response::ApiVersion| {
            (api.api_key, (api.min_version, api.max_version))
        };
        Self(response.api_keys.iter().map(range).collect())
    }

    /// The greatest version that both sides know.
    pub(crate) fn pick<Q: Call>(&self, endpoint: &Endpoint) -> Result<i16, Error> {
        let ours = Q::VERSIONS;
        let theirs = self.0.get(&(Q::KEY as i16)).copied();
        theirs
            .map(|(least, most)| (least.max(ours.0), most.min(ours.1)))
            .filter(|(least, most)| least <= most)
            .map(|(_, most)| most)
            .ok_or_else(|| Error::Unsupported {
                request: Q::name(),
                endpoint: endpoint.clone(),
                ours,
                theirs,
            })
    }
}

impl Client {
    /// The requests and versions that this broker serves.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn api_versions_at(&self, broker_id: i32) -> Result<ApiVersions, Error> {
        let response = self.read(Target::Broker(broker_id), &request()).await?;
        Ok(ApiVersions::new(&response))
    }
}
