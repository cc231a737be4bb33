//! Quota entities: whom a quota binds.
//!
//! Kafka's client quotas bind a user, a client id, or a pair of both; each part is a name or the default for all names
//! without a quota of their own (KIP-55, KIP-546). Quotas of IP addresses limit connections and are no business of ours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One part of an entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Whoever has no quota of their own at this level.
    Default,
    /// The raw name, neither URL-encoded nor quoted.
    Name(String),
}

impl Part {
    /// A name.
    pub fn name(name: impl Into<String>) -> Self {
        Self::Name(name.into())
    }

    fn matches(&self, name: Option<&str>) -> bool {
        match self {
            Self::Default => true,
            Self::Name(own) => name == Some(own.as_str()),
        }
    }
}

/// Whom a quota binds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// All connections of a user that no pair takes out.
    User(Part),
    /// All connections with a client id, whoever the user is.
    ClientId(Part),
    /// The connections of a user with a client id.
    Pair(Part, Part),
}

/// The shape of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// [`Entity::User`].
    User,
    /// [`Entity::ClientId`].
    ClientId,
    /// [`Entity::Pair`].
    Pair,
}

impl Kind {
    /// A client's known tags name an entity of this shape.
    #[must_use]
    pub fn is_named_by(self, client: &Client) -> bool {
        let (user, client_id) = (client.user.is_some(), client.client_id.is_some());
        match self {
            Self::User => user,
            Self::ClientId => client_id,
            Self::Pair => user && client_id,
        }
    }
}

impl Entity {
    /// The entity of a user.
    pub fn user(name: impl Into<String>) -> Self {
        Self::User(Part::name(name))
    }

    /// The entity of a client id.
    pub fn client_id(name: impl Into<String>) -> Self {
        Self::ClientId(Part::name(name))
    }

    /// The entity of a user's client id.
    pub fn pair(user: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self::Pair(Part::name(user), Part::name(client_id))
    }

    /// The entity of this shape that a client's known tags name; `None` where they do not.
    #[must_use]
    pub fn of(kind: Kind, client: &Client) -> Option<Self> {
        Some(match kind {
            Kind::User => Self::user(client.user.as_ref()?),
            Kind::ClientId => Self::client_id(client.client_id.as_ref()?),
            Kind::Pair => Self::pair(client.user.as_ref()?, client.client_id.as_ref()?),
        })
    }

    /// Its names, as tags of a client.
    #[must_use]
    pub fn client(&self) -> Client {
        let name = |part: Option<&Part>| match part {
            Some(Part::Name(name)) => Some(name.clone()),
            _ => None,
        };
        Client { user: name(self.user_part()), client_id: name(self.client_id_part()) }
    }

    /// The entity that binds whoever has no quota of this shape.
    #[must_use]
    pub fn default_of(kind: Kind) -> Self {
        match kind {
            Kind::User => Self::User(Part::Default),
            Kind::ClientId => Self::ClientId(Part::Default),
            Kind::Pair => Self::Pair(Part::Default, Part::Default),
        }
    }

    /// Its shape.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::User(_) => Kind::User,
            Self::ClientId(_) => Kind::ClientId,
            Self::Pair(..) => Kind::Pair,
        }
    }

    /// Its user part.
    #[must_use]
    pub fn user_part(&self) -> Option<&Part> {
        match self {
            Self::User(user) | Self::Pair(user, _) => Some(user),
            Self::ClientId(_) => None,
        }
    }

    /// Its client id part.
    #[must_use]
    pub fn client_id_part(&self) -> Option<&Part> {
        match self {
            Self::ClientId(client_id) | Self::Pair(_, client_id) => Some(client_id),
            Self::User(_) => None,
        }
    }

    /// A part is the default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.user_part() == Some(&Part::Default) || self.client_id_part() == Some(&Part::Default)
    }

    /// The client could be bound by this entity, were there no quota at a more specific one.
    #[must_use]
    pub fn covers(&self, client: &Client) -> bool {
        self.user_part().is_none_or(|part| part.matches(client.user.as_deref()))
            && self.client_id_part().is_none_or(|part| part.matches(client.client_id.as_deref()))
    }

    /// Kafka's rank of this shape: 1 binds first, 8 last (`ClientQuotaManager`, KIP-257).
    #[must_use]
    pub fn rank(&self) -> u8 {
        use Part::{Default, Name};
        match self {
            Self::Pair(Name(_), Name(_)) => 1,
            Self::Pair(Name(_), Default) => 2,
            Self::User(Name(_)) => 3,
            Self::Pair(Default, Name(_)) => 4,
            Self::Pair(Default, Default) => 5,
            Self::User(Default) => 6,
            Self::ClientId(Name(_)) => 7,
            Self::ClientId(Default) => 8,
        }
    }
}

/// A client as brokers see it, or as much of it as the metrics tell: a part that no label gave is `None`, which is
/// unknown, not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client {
    /// The principal's name, decoded.
    pub user: Option<String>,
    /// The client id, decoded.
    pub client_id: Option<String>,
}

/// `user=alice`, `client-id=app`, `user=alice,client-id=app`; `<default>` for a default, names with a comma, an equals
/// sign, a quote or a leading `<` in JSON quotes.
impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("user", self.user_part()), ("client-id", self.client_id_part())];
        let mut first = true;
        for (key, part) in parts {
            let Some(part) = part else { continue };
            if !std::mem::take(&mut first) {
                f.write_str(",")?;
            }
            match part {
                Part::Default => write!(f, "{key}=<default>")?,
                Part::Name(name) if plain(name) => write!(f, "{key}={name}")?,
                Part::Name(name) => write!(f, "{key}={}", serde_json::Value::from(name.as_str()))?,
            }
        }
        Ok(())
    }
}

fn plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['<', ' '])
        && !name.ends_with(' ')
        && !name.contains([',', '=', '"', '\\'])
        && !name.chars().any(char::is_control)
}

/// Why a text is no entity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no entity: {why}; write user=NAME, client-id=NAME or user=NAME,client-id=NAME")]
pub struct ParseEntityError {
    text: String,
    why: &'static str,
}

impl FromStr for Entity {
    type Err = ParseEntityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| ParseEntityError { text: text.to_owned(), why };
        let (mut user, mut client_id) = (None, None);
        let mut rest = text;
        while !rest.is_empty() {
            let (key, value) = rest.split_once('=').ok_or_else(|| fail("a part has no `=`"))?;
            let (part, after) = read_part(value).map_err(fail)?;
            let slot = match key {
                "user" => &mut user,
                "client-id" => &mut client_id,
                _ => return Err(fail("a part is neither user nor client-id")),
            };
            if slot.replace(part).is_some() {
                return Err(fail("a part is given twice"));
            }
            rest = match after {
                "" => after,
                _ => match after.strip_prefix(',') {
                    Some("") | None => return Err(fail("something follows a part")),
                    Some(next) => next,
                },
            };
        }
        match (user, client_id) {
            (Some(user), Some(client_id)) => Ok(Self::Pair(user, client_id)),
            (Some(user), None) => Ok(Self::User(user)),
            (None, Some(client_id)) => Ok(Self::ClientId(client_id)),
            (None, None) => Err(fail("it is empty")),
        }
    }
}

fn read_part(text: &str) -> Result<(Part, &str), &'static str> {
    if text.starts_with('"') {
        let mut names = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let name = names.next().and_then(Result::ok).ok_or("a quoted name is no JSON string")?;
        let rest = text.get(names.byte_offset()..).unwrap_or_default();
        return Ok((Part::Name(name), rest));
    }
    let end = text.find(',').unwrap_or(text.len());
    let (value, rest) = text.split_at(end);
    match value {
        "<default>" => Ok((Part::Default, rest)),
        _ if plain(value) => Ok((Part::name(value), rest)),
        _ => Err("a name is empty or needs quotes"),
    }
}

impl Serialize for Entity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Entity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranks_are_those_of_kafka() {
        let order = [
            "user=u,client-id=c",
            "user=u,client-id=<default>",
            "user=u",
            "user=<default>,client-id=c",
            "user=<default>,client-id=<default>",
            "user=<default>",
            "client-id=c",
            "client-id=<default>",
        ];
        let ranks: Vec<u8> = order.iter().map(|text| text.parse::<Entity>().unwrap().rank()).collect();
        assert_eq!(ranks, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn what_is_no_entity_is_refused() {
        for text in [
            "",
            "user",
            "user=",
            "ip=1.2.3.4",
            "user=a,user=b",
            "user=a,",
            "user=\"a",
            "user=\"a\"b",
            "user=a=b",
        ] {
            assert!(text.parse::<Entity>().is_err(), "{text}");
        }
    }

    fn part() -> impl Strategy<Value = Part> {
        prop_oneof![
            Just(Part::Default),
            any::<String>().prop_map(Part::Name),
            "[a-c<=,\" ]{0,4}".prop_map(Part::Name)
        ]
    }

    proptest! {
        #[test]
        fn text_is_read_back(user in proptest::option::of(part()), client_id in proptest::option::of(part())) {
            let entity = match (user, client_id) {
                (Some(user), Some(client_id)) => Entity::Pair(user, client_id),
                (Some(user), None) => Entity::User(user),
                (None, Some(client_id)) => Entity::ClientId(client_id),
                (None, None) => return Ok(()),
            };
            prop_assert_eq!(entity.to_string().parse::<Entity>(), Ok(entity));
        }

        #[test]
        fn no_text_panics(text in "[ucsertl=,\"<>-]{0,30}") {
            drop(text.parse::<Entity>());
        }
    }
}
