//! DescribeConfigs (32): what a broker is configured with.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{ApiKey, DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::client::{Client, Target};
use crate::error::Error;
use crate::wire::shape::{Field, INT8, INT16, INT32, Kind, Shape, always, since};
use crate::wire::{Call, Refusal};

const BROKER: i8 = 4;

const CONFIG: &[Field] = &[
    always(Kind::String),
    always(Kind::String),
    always(INT8),
    always(INT8),
    always(INT8),
    always(Kind::Structs(&[always(Kind::String), always(Kind::String), always(INT8)])),
    since(3, INT8),
    since(3, Kind::String),
];

impl Call for DescribeConfigsRequest {
    type Response = DescribeConfigsResponse;
    const KEY: ApiKey = ApiKey::DescribeConfigs;
    const VERSIONS: (i16, i16) = (1, 4);
    const SHAPE: Shape = Shape {
        flexible: 4,
        fields: &[
            always(INT32),
            always(Kind::Structs(&[
                always(INT16),
                always(Kind::String),
                always(INT8),
                always(Kind::String),
                always(Kind::Structs(CONFIG)),
            ])),
        ],
        tags: &[],
    };

    /// One resource is asked for at a time, so its error is that of the answer.
    fn refusal(response: &DescribeConfigsResponse) -> Option<Refusal> {
        let refused =
            |result: &kafka_protocol::messages::describe_configs_response::DescribeConfigsResult| {
                Refusal::new(result.error_code, result.error_message.as_ref())
            };
        response.results.iter().find_map(refused)
    }
}

impl Client {
    /// The named configuration values of a broker, asked of that broker itself; names it does not know are left out,
    /// and so are values that are not set, or secret.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn describe_broker_configs(
        &self,
        broker_id: i32,
        names: &[&str],
    ) -> Result<BTreeMap<String, String>, Error> {
        let text = |name: &str| StrBytes::from_string(name.to_owned());
        let resource = DescribeConfigsResource::default()
            .with_resource_type(BROKER)
            .with_resource_name(text(&broker_id.to_string()))
            .with_configuration_keys(Some(names.iter().map(|name| text(name)).collect()));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let response = self.read(Target::Broker(broker_id), &request).await?;
        let configs = response.results.into_iter().flat_map(|result| result.configs);
        let told = configs.filter_map(|config| Some((config.name.to_string(), config.value?.to_string())));
        Ok(told.collect())
    }
}
