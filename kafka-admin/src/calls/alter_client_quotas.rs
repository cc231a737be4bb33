//! AlterClientQuotas (49).

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::alter_client_quotas_response;
use kafka_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse, ApiKey};
use kafka_protocol::protocol::StrBytes;

use super::describe_client_quotas::ENTITY;
use crate::client::{Client, Target};
use crate::error::{Endpoint, Error, Outcome};
use crate::quota::{Alteration, Entity};
use crate::wire::shape::{INT16, INT32, Kind, Shape, always};
use crate::wire::{Call, Refusal};

/// A controller writes at most so many records for one request, one per key (`MAX_RECORDS_PER_USER_OP`).
const MAX_OPS: usize = 10_000;

impl Call for AlterClientQuotasRequest {
    type Response = AlterClientQuotasResponse;
    const KEY: ApiKey = ApiKey::AlterClientQuotas;
    const VERSIONS: (i16, i16) = (0, 1);
    const SHAPE: Shape = Shape {
        flexible: 1,
        fields: &[
            always(INT32),
            always(Kind::Structs(&[always(INT16), always(Kind::String), always(ENTITY)])),
        ],
        tags: &[],
    };
}

/// Whether to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterMode {
    /// Change quotas.
    Apply,
    /// Let the controller check the request only.
    ValidateOnly,
}

/// What became of one alteration.
#[derive(Clone, Debug)]
pub struct Altered {
    /// Whom it was for.
    pub entity: Entity,
    /// Done, or why not; [`Error::outcome`] says whether it may have been done all the same.
    pub result: Result<(), Error>,
}

impl Client {
    /// Changes quotas. There is one result per alteration, in the same order.
    ///
    /// The controller carries out all valid alterations of a request together. More than 10,000 changes are split into several
    /// requests, sent one after the other; after one that fails as a whole the rest is [`Error::NotTried`].
    ///
    /// A request that has been sent is never repeated: with [`Outcome::Unknown`], describe first.
    pub async fn alter_client_quotas(&self, alterations: &[Alteration], mode: AlterMode) -> Vec<Altered> {
        let mut altered: Vec<Altered> = Vec::with_capacity(alterations.len());
        let mut failed: Option<Error> = None;
        for batch in batches(alterations) {
            let results = match &failed {
                Some(error) => all(batch, &Error::NotTried(Box::new(error.clone()))),
                None => match self.write_to(Target::Controller, &request(batch, mode)).await {
                    Ok((response, endpoint)) => results(batch, &response, &endpoint),
                    Err(error) => {
                        failed = Some(error.clone());
                        all(batch, &error)
                    }
                },
            };
            altered.extend(results);
        }
        altered
    }
}

fn all(batch: &[Alteration], error: &Error) -> Vec<Altered> {
    let altered = |one: &Alteration| Altered { entity: one.entity.clone(), result: Err(error.clone()) };
    batch.iter().map(altered).collect()
}

/// Runs of alterations that fit a request each. An entity appears once in a request, since answers are told apart by entity.
fn batches(mut rest: &[Alteration]) -> Vec<&[Alteration]> {
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let (mut length, mut ops, mut seen) = (0, 0, BTreeSet::new());
        for one in rest {
            ops += one.ops.len();
            // One that is too large by itself goes alone, for the controller to refuse.
            if length > 0 && (ops > MAX_OPS || seen.contains(&one.entity)) {
                break;
            }
            seen.insert(&one.entity);
            length += 1;
        }
        let (batch, after) = rest.split_at(length);
        batches.push(batch);
        rest = after;
    }
    batches
}

fn request(batch: &[Alteration], mode: AlterMode) -> AlterClientQuotasRequest {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let entry = |one: &Alteration| {
        let entity = one.entity.parts().map(|(kind, part)| {
            EntityData::default().with_entity_type(text(kind)).with_entity_name(part.wire_name().map(text))
        });
        let ops = one.ops.iter().map(|(key, value)| {
            OpData::default()
                .with_key(text(key))
                .with_value(value.unwrap_or_default())
                .with_remove(value.is_none())
        });
        EntryData::default().with_entity(entity.collect()).with_ops(ops.collect())
    };
    AlterClientQuotasRequest::default()
        .with_entries(batch.iter().map(entry).collect())
        .with_validate_only(mode == AlterMode::ValidateOnly)
}

/// Matches answers by entity: their order is the server's.
fn results(batch: &[Alteration], response: &AlterClientQuotasResponse, endpoint: &Endpoint) -> Vec<Altered> {
    let request = AlterClientQuotasRequest::name();
    let answered = |entry: &alter_client_quotas_response::EntryData| {
        let parts = entry.entity.iter().map(|part| (&*part.entity_type, part.entity_name.as_deref()));
        (Entity::from_parts(parts), Refusal::new(entry.error_code, entry.error_message.as_ref()))
    };
    let answers: BTreeMap<Entity, Option<Refusal>> = response.entries.iter().map(answered).collect();
    let result = |entity: &Entity| match answers.get(entity) {
        Some(None) => Ok(()),
        Some(Some(refusal)) => Err(Error::Kafka {
            request: request.clone(),
            endpoint: endpoint.clone(),
            code: refusal.code,
            message: refusal.message.clone(),
        }),
        None => Err(Error::Malformed {
            request: request.clone(),
            endpoint: endpoint.clone(),
            reason: format!("it says nothing of {entity}"),
            outcome: Outcome::Unknown,
        }),
    };
    batch.iter().map(|one| Altered { entity: one.entity.clone(), result: result(&one.entity) }).collect()
}

#[cfg(test)]
mod tests;
