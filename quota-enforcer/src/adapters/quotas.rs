//! The brokers' client quotas.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use kafka_admin::{AlterMode, Alteration, Client, EntityPart, Error, Filter, Outcome, QuotaEntry};
use quota_enforcer_core::entity::{Entity, Part};
use quota_enforcer_core::quota::{Key, Slot, Snapshot};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::ports::{self, BrokerId, BrokerInfo, Cluster, QuotaFault};

const WINDOWS: &str = "quota.window.num";
const WINDOW: &str = "quota.window.size.seconds";
const CALLBACK: &str = "client.quota.callback.class";
/// Entities that are asked for one by one; above it all are asked for.
const SINGLY: usize = 20;

/// The quotas of one cluster.
#[derive(Clone)]
pub struct Quotas {
    client: Client,
}

impl Quotas {
    /// Those that this client reaches.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl ports::Quotas for Quotas {
    /// Asks each live broker for its own configuration. One that does not answer is taken for the slowest of the others, so that
    /// what is held can be given back, and is told as a doubt.
    async fn cluster(&self) -> Result<Cluster, QuotaFault> {
        let described = self.client.describe_cluster().await.map_err(fault)?;
        let mut asked = JoinSet::new();
        for broker in described.brokers.iter().filter(|broker| !broker.fenced) {
            let (client, id) = (self.client.clone(), broker.id);
            let ask = async move {
                let names = [WINDOWS, WINDOW, CALLBACK];
                (id, client.describe_broker_configs(id, &names).await)
            };
            asked.spawn(ask.in_current_span());
        }
        let mut cluster = Cluster { id: described.cluster_id, ..Cluster::default() };
        let mut silent = BTreeMap::new();
        while let Some(answer) = asked.join_next().await {
            let (id, configs) = answer.map_err(|error| QuotaFault::Failed(error.to_string()))?;
            let read = configs.map_err(fault).and_then(|configs| Ok((info(&configs)?, configs)));
            let (info, configs) = match read {
                Ok(read) => read,
                Err(fault) => {
                    silent.insert(id, fault);
                    continue;
                }
            };
            cluster.brokers.insert(id, info);
            if let Some(class) = configs.get(CALLBACK).filter(|class| !class.is_empty()) {
                cluster.custom_callback = Some(class.clone());
            }
        }
        let slowest = cluster.brokers.values().max_by_key(|info| info.window * info.windows).copied();
        for (id, fault) in silent {
            let Some(info) = slowest else { return Err(fault) };
            cluster.brokers.insert(id, info);
            cluster.doubts.push(format!("broker {id} does not tell its configuration: {fault}"));
        }
        Ok(cluster)
    }

    async fn snapshot(&self) -> Result<Snapshot, QuotaFault> {
        self.client.describe_client_quotas(&Filter::all()).await.map(snapshot).map_err(fault)
    }

    async fn told_by(&self, broker: BrokerId, slots: &[Slot]) -> Result<Snapshot, QuotaFault> {
        let entities: BTreeSet<&Entity> = slots.iter().map(|slot| &slot.entity).collect();
        let filters = match entities.len() {
            // The API takes one entity a request.
            0..=SINGLY => entities.into_iter().map(|entity| Filter::exactly(&to_admin(entity))).collect(),
            _ => vec![Filter::all()],
        };
        let asked = filters.iter().map(|filter| self.client.describe_client_quotas_at(broker, filter));
        let answers = join_all(asked).await.into_iter().collect::<Result<Vec<_>, _>>().map_err(fault)?;
        Ok(snapshot(answers.into_iter().flatten().collect()))
    }

    async fn alter(
        &self,
        writes: &[(Slot, Option<f64>)],
        validate_only: bool,
    ) -> Result<Vec<Result<(), String>>, QuotaFault> {
        let mode = if validate_only { AlterMode::ValidateOnly } else { AlterMode::Apply };
        // One alteration for each entity: the controller carries out those of a request together.
        let mut by_entity: BTreeMap<&Entity, Vec<(String, Option<f64>)>> = BTreeMap::new();
        for (slot, value) in writes {
            by_entity.entry(&slot.entity).or_default().push((slot.key.name().to_owned(), *value));
        }
        let (entities, alterations): (Vec<_>, Vec<_>) = by_entity
            .into_iter()
            .map(|(entity, ops)| (entity, Alteration { entity: to_admin(entity), ops }))
            .unzip();
        let altered = self.client.alter_client_quotas(&alterations, mode).await;
        let errors: Vec<&Error> = altered.iter().filter_map(|one| one.result.as_ref().err()).collect();
        if let Some(unknown) = errors.iter().find(|error| error.outcome() == Outcome::Unknown) {
            return Err(QuotaFault::Unknown(unknown.to_string()));
        }
        if let Some(first) = errors.first()
            && errors.len() == altered.len()
            && errors.iter().all(|error| error.outcome() == Outcome::NotSent)
        {
            return Err(QuotaFault::Failed(first.to_string()));
        }
        let results: BTreeMap<&Entity, Result<(), String>> = entities
            .into_iter()
            .zip(altered)
            .map(|(entity, one)| (entity, one.result.map_err(|error| error.to_string())))
            .collect();
        let result = |(slot, _): &(Slot, Option<f64>)| {
            results.get(&slot.entity).cloned().unwrap_or_else(|| Err("no answer".to_owned()))
        };
        Ok(writes.iter().map(result).collect())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is what a failed call leaves")]
fn fault(error: Error) -> QuotaFault {
    QuotaFault::Failed(error.to_string())
}

fn info(configs: &BTreeMap<String, String>) -> Result<BrokerInfo, QuotaFault> {
    let number = |name: &str| {
        let value = configs.get(name).and_then(|value| value.parse::<u32>().ok());
        value.filter(|value| *value > 0).ok_or_else(|| QuotaFault::Failed(format!("it lacks {name}")))
    };
    Ok(BrokerInfo { windows: number(WINDOWS)?, window: Duration::from_secs(u64::from(number(WINDOW)?)) })
}

/// Quotas of addresses, and keys that limit something else, are no business of ours.
fn snapshot(entries: Vec<QuotaEntry>) -> Snapshot {
    let slots = entries.into_iter().filter_map(|entry| {
        let entity = from_admin(&entry.entity)?;
        Some(entry.values.into_iter().filter_map(move |(name, value)| {
            Some((Slot { entity: entity.clone(), key: Key::from_name(&name)? }, value))
        }))
    });
    slots.flatten().collect()
}

fn from_admin(entity: &kafka_admin::Entity) -> Option<Entity> {
    let part = |part: &EntityPart| match part {
        EntityPart::Default => Part::Default,
        EntityPart::Name(name) => Part::name(name),
    };
    if entity.ip.is_some() || !entity.other.is_empty() {
        return None;
    }
    match (&entity.user, &entity.client_id) {
        (Some(user), None) => Some(Entity::User(part(user))),
        (None, Some(client_id)) => Some(Entity::ClientId(part(client_id))),
        (Some(user), Some(client_id)) => Some(Entity::Pair(part(user), part(client_id))),
        (None, None) => None,
    }
}

fn to_admin(entity: &Entity) -> kafka_admin::Entity {
    let part = |part: &Part| match part {
        Part::Default => EntityPart::Default,
        Part::Name(name) => EntityPart::name(name),
    };
    match entity {
        Entity::User(user) => kafka_admin::Entity::user(part(user)),
        Entity::ClientId(client_id) => kafka_admin::Entity::client_id(part(client_id)),
        Entity::Pair(user, client_id) => kafka_admin::Entity::user_client(part(user), part(client_id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_survive_the_way_there_and_back() {
        for entity in [
            Entity::user("alice"),
            Entity::User(Part::Default),
            Entity::client_id("app"),
            Entity::pair("alice", "app"),
            Entity::Pair(Part::Default, Part::name("app")),
            Entity::Pair(Part::name("alice"), Part::Default),
        ] {
            assert_eq!(from_admin(&to_admin(&entity)), Some(entity));
        }
        assert_eq!(from_admin(&kafka_admin::Entity::ip(EntityPart::name("10.0.0.1"))), None);
    }
}
