//! Shorthand.

use std::collections::BTreeMap;

use kafka_admin::{Alteration, Client, Config, Entity, EntityPart, Error};
use testbed::kafka::{Cluster, ENFORCER, Listener};

/// Properties with some of them set otherwise.
pub(crate) fn config(mut properties: BTreeMap<String, String>, more: &[(&str, &str)]) -> Config {
    properties.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Config::new(properties).unwrap()
}

/// The enforcer, by SCRAM without encryption.
pub(crate) async fn enforcer(cluster: &Cluster) -> Client {
    client(cluster, Listener::SaslPlaintext, ENFORCER, &[]).await.unwrap()
}

pub(crate) async fn client(
    cluster: &Cluster,
    listener: Listener,
    user: &str,
    more: &[(&str, &str)],
) -> Result<Client, Error> {
    Client::connect(config(cluster.client_properties(listener, user), more)).await
}

pub(crate) fn user(name: &str) -> Entity {
    Entity::user(EntityPart::name(name))
}

pub(crate) fn set(entity: &Entity, key: &str, value: f64) -> Alteration {
    Alteration { entity: entity.clone(), ops: vec![(key.to_owned(), Some(value))] }
}

pub(crate) fn remove(entity: &Entity, key: &str) -> Alteration {
    Alteration { entity: entity.clone(), ops: vec![(key.to_owned(), None)] }
}
