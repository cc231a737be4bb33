//! Client quotas as the protocol has them ([KIP-546]).
//!
//! [KIP-546]: https://cwiki.apache.org/confluence/display/KAFKA/KIP-546%3A+Add+Client+Quota+APIs+to+the+Admin+Client

use std::collections::BTreeMap;
use std::fmt;

pub(crate) const USER: &str = "user";
pub(crate) const CLIENT_ID: &str = "client-id";
pub(crate) const IP: &str = "ip";

/// Whom one part of an entity means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityPart {
    /// Everyone of this type who has no quota of their own.
    Default,
    /// This one. The raw name, not the sanitized form of JMX.
    Name(String),
}

impl EntityPart {
    /// The part with this name.
    pub fn name(name: impl Into<String>) -> Self {
        Self::Name(name.into())
    }

    pub(crate) fn wire_name(&self) -> Option<&str> {
        match self {
            Self::Default => None,
            Self::Name(name) => Some(name),
        }
    }
}

/// Whom a quota is for. Kafka takes a user, a client id, both, or an IP address.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    /// The principal's name, without `User:`.
    pub user: Option<EntityPart>,
    /// The client id.
    pub client_id: Option<EntityPart>,
    /// The address or name of a host that connects.
    pub ip: Option<EntityPart>,
    /// Entity types that other servers than Apache Kafka have.
    pub other: BTreeMap<String, EntityPart>,
}

impl Entity {
    /// A user, whatever the client id.
    #[must_use]
    pub fn user(user: EntityPart) -> Self {
        Self { user: Some(user), ..Self::default() }
    }

    /// A client id, whoever uses it.
    #[must_use]
    pub fn client_id(client_id: EntityPart) -> Self {
        Self { client_id: Some(client_id), ..Self::default() }
    }

    /// A client id of one user.
    #[must_use]
    pub fn user_client(user: EntityPart, client_id: EntityPart) -> Self {
        Self { user: Some(user), client_id: Some(client_id), ..Self::default() }
    }

    /// An address.
    #[must_use]
    pub fn ip(ip: EntityPart) -> Self {
        Self { ip: Some(ip), ..Self::default() }
    }

    /// Its parts by their names in the protocol.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &EntityPart)> {
        let known = [(USER, &self.user), (CLIENT_ID, &self.client_id), (IP, &self.ip)];
        known
            .into_iter()
            .filter_map(|(kind, part)| Some((kind, part.as_ref()?)))
            .chain(self.other.iter().map(|(kind, part)| (kind.as_str(), part)))
    }

    pub(crate) fn from_parts<'a>(parts: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Self {
        let mut entity = Self::default();
        for (kind, name) in parts {
            let part = name.map_or(EntityPart::Default, EntityPart::name);
            match kind {
                USER => entity.user = Some(part),
                CLIENT_ID => entity.client_id = Some(part),
                IP => entity.ip = Some(part),
                other => drop(entity.other.insert(other.to_owned(), part)),
            }
        }
        entity
    }
}

/// `user=alice,client-id=<default>`, for people; a name is not quoted.
impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (kind, part)) in self.parts().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{kind}={}", part.wire_name().unwrap_or("<default>"))?;
        }
        Ok(())
    }
}

/// An entity with its quotas.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaEntry {
    /// Whom they are for.
    pub entity: Entity,
    /// Bound by key, such as `producer_byte_rate` (bytes per second on each broker) or `request_percentage`.
    pub values: BTreeMap<String, f64>,
}

/// A change to the quotas of one entity; keys that it does not name stay as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Alteration {
    /// Whom they are for.
    pub entity: Entity,
    /// New bound by key; `None` removes it.
    pub ops: Vec<(String, Option<f64>)>,
}

/// Which entities to describe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// By type of entity (`user`, `client-id`, `ip`): all have to be equal.
    pub components: BTreeMap<String, EntityPart>,
    /// Whether entities with further types than those named are left out.
    pub strict: bool,
}

impl Filter {
    /// Every entity that has a quota.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// This entity only.
    #[must_use]
    pub fn exactly(entity: &Entity) -> Self {
        let components = entity.parts().map(|(kind, part)| (kind.to_owned(), part.clone())).collect();
        Self { components, strict: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_its_parts() {
        let entity = Entity {
            other: BTreeMap::from([("client-id-prefix".to_owned(), EntityPart::name("app-"))]),
            ..Entity::user_client(EntityPart::name("ålice"), EntityPart::Default)
        };
        let parts = entity.parts().map(|(kind, part)| (kind, part.wire_name()));
        assert_eq!(Entity::from_parts(parts), entity);
        assert_eq!(entity.to_string(), "user=ålice,client-id=<default>,client-id-prefix=app-");
    }

    #[test]
    fn a_name_and_the_default_differ() {
        let named = Entity::user(EntityPart::name("<default>"));
        assert_ne!(named, Entity::user(EntityPart::Default));
        assert!(Filter::exactly(&named).strict);
    }
}
