//! DescribeClientQuotas (48).

use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::{ApiKey, DescribeClientQuotasRequest, DescribeClientQuotasResponse};
use kafka_protocol::protocol::StrBytes;

use crate::client::{Client, Target};
use crate::error::{Error, Outcome};
use crate::quota::{Entity, EntityPart, Filter, QuotaEntry};
use crate::wire::shape::{INT16, INT32, INT64, Kind, Shape, always};
use crate::wire::{Call, Refusal};

pub(super) const ENTITY: Kind = Kind::Structs(&[always(Kind::String), always(Kind::String)]);
const VALUES: Kind = Kind::Structs(&[always(Kind::String), always(INT64)]);

impl Call for DescribeClientQuotasRequest {
    type Response = DescribeClientQuotasResponse;
    const KEY: ApiKey = ApiKey::DescribeClientQuotas;
    const VERSIONS: (i16, i16) = (0, 1);
    const SHAPE: Shape = Shape {
        flexible: 1,
        fields: &[
            always(INT32),
            always(INT16),
            always(Kind::String),
            always(Kind::Structs(&[always(ENTITY), always(VALUES)])),
        ],
        tags: &[],
    };

    fn refusal(response: &DescribeClientQuotasResponse) -> Option<Refusal> {
        Refusal::new(response.error_code, response.error_message.as_ref())
    }
}

impl Client {
    /// The quotas that match, as any one broker knows them.
    ///
    /// A broker may lag behind the controller: to see whether a quota is in force ask each broker with
    /// [`Client::describe_client_quotas_at`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn describe_client_quotas(&self, filter: &Filter) -> Result<Vec<QuotaEntry>, Error> {
        self.quotas(Target::Any, filter).await
    }

    /// The quotas that match, as this broker enforces them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn describe_client_quotas_at(
        &self,
        broker_id: i32,
        filter: &Filter,
    ) -> Result<Vec<QuotaEntry>, Error> {
        self.quotas(Target::Broker(broker_id), filter).await
    }

    async fn quotas(&self, target: Target, filter: &Filter) -> Result<Vec<QuotaEntry>, Error> {
        let (response, endpoint) = self.read_from(target, &request(filter)).await?;
        // Null entries come with errors only: no answer must not pass for "no quotas".
        response.entries.map(|entries| entries.into_iter().map(entry).collect()).ok_or_else(|| {
            let (request, reason) = (DescribeClientQuotasRequest::name(), "it holds no list".to_owned());
            Error::Malformed { request, endpoint, reason, outcome: Outcome::Unknown }
        })
    }
}

pub(crate) fn request(filter: &Filter) -> DescribeClientQuotasRequest {
    let component = |(kind, wanted): (&String, &EntityPart)| {
        let (match_type, name) = match wanted {
            EntityPart::Name(name) => (0, Some(StrBytes::from_string(name.clone()))),
            EntityPart::Default => (1, None),
        };
        ComponentData::default()
            .with_entity_type(StrBytes::from_string(kind.clone()))
            .with_match_type(match_type)
            // The codec's default is an empty text, which Kafka refuses for the default.
            .with_match(name)
    };
    DescribeClientQuotasRequest::default()
        .with_components(filter.components.iter().map(component).collect())
        .with_strict(filter.strict)
}

fn entry(data: kafka_protocol::messages::describe_client_quotas_response::EntryData) -> QuotaEntry {
    let parts = data.entity.iter().map(|part| (&*part.entity_type, part.entity_name.as_deref()));
    QuotaEntry {
        entity: Entity::from_parts(parts),
        values: data.values.iter().map(|value| (value.key.to_string(), value.value)).collect(),
    }
}
