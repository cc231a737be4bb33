//! What a quota write would do besides what it is meant to do.
//!
//! A quota binds less than it seems to where a more specific one stands (it is shadowed), and more specific does not mean
//! stricter: a client that gets a quota of its own leaves the bucket that it shared (it escapes).

use std::fmt;

use crate::entity::{Client, Entity, Kind, Part};
use crate::policy::Policy;
use crate::quota::{Key, same};
use crate::resolve::Index;

/// One thing that speaks against a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Hazard {
    /// Kafka does not take the value: not greater than zero, no number, or a byte rate with a fraction.
    Invalid {
        /// It.
        value: f64,
    },
    /// A value stands in the slot that is not ours.
    Taken {
        /// It.
        value: f64,
    },
    /// The quota would not bind this client: a more specific one does.
    Shadowed {
        /// The more specific one.
        by: Entity,
        /// The client.
        client: Client,
    },
    /// The client would leave a bucket that it shares with others, and they could use its part of that limit too.
    Escapes {
        /// Whose quota binds it without the write.
        from: Entity,
        /// That quota's value.
        limit: f64,
        /// The client.
        client: Client,
    },
    /// The client would get more than it may have now.
    Loosens {
        /// Whose quota binds it without the write.
        from: Entity,
        /// That quota's value.
        limit: f64,
        /// The client.
        client: Client,
    },
    /// It is not known whether this quota binds some of the client's connections.
    Unsure {
        /// Whose quota.
        by: Entity,
        /// The client, with an unknown part.
        client: Client,
    },
    /// The quota would bind whom no rule may touch.
    BindsProtected {
        /// What protects them.
        pattern: String,
    },
    /// A default would outrank a quota that limits clients now.
    ShadowsOthers {
        /// Whose quota.
        entity: Entity,
        /// Its value.
        limit: f64,
    },
    /// A sentinel that is low enough to bind someone.
    BindsSomeone {
        /// Its value.
        value: f64,
        /// The policy's lowest value that counts as no limit.
        from: f64,
    },
}

/// A client for people: `user=alice`, `client-id=app`, both, or `unknown client`.
struct Named<'a>(&'a Client);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match [Kind::Pair, Kind::User, Kind::ClientId].into_iter().find_map(|kind| Entity::of(kind, self.0)) {
            Some(entity) => entity.fmt(f),
            None => f.write_str("an unknown client"),
        }
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { value } => write!(f, "Kafka takes no quota of {value}"),
            Self::Taken { value } => write!(f, "a quota of {value} that is not ours stands there"),
            Self::Shadowed { by, client } => {
                write!(f, "it would not bind {}: the quota of {by} does", Named(client))
            }
            Self::Escapes { from, limit, client } => {
                write!(f, "it would take {} out of the limit of {limit} that {from} shares", Named(client))
            }
            Self::Loosens { from, limit, client } => {
                write!(f, "it would give {} more than the {limit} of {from}", Named(client))
            }
            Self::Unsure { by, client } => {
                write!(
                    f,
                    "the quota of {by} may bind connections of {}; not all of its labels are known",
                    Named(client)
                )
            }
            Self::BindsProtected { pattern } => write!(f, "it would bind the protected {pattern}"),
            Self::ShadowsOthers { entity, limit } => {
                write!(f, "it would outrank the limit of {limit} of {entity}")
            }
            Self::BindsSomeone { value, from } => {
                write!(f, "a sentinel of {value} could bind someone: the policy's lowest is {from}")
            }
        }
    }
}

/// What speaks against setting the quota of `entity` to `to`, for the index's key.
///
/// `ours` is the value of ours that stands there, if one does; `members` are the clients that the write is meant to bind.
/// Clients are compared with what binds them without the entity's own quota. Empty: nothing speaks against it.
#[must_use]
pub fn check(
    index: &Index<'_>,
    entity: &Entity,
    to: f64,
    ours: Option<f64>,
    members: &[&Client],
    policy: &Policy,
) -> Vec<Hazard> {
    let mut hazards = basics(index, entity, to, ours);
    let patterns = policy.protected.find(entity).into_iter();
    let patterns = patterns.chain(members.iter().filter_map(|client| policy.protected.find_client(client)));
    for pattern in patterns {
        let hazard = Hazard::BindsProtected { pattern };
        if !hazards.contains(&hazard) {
            hazards.push(hazard);
        }
    }
    if entity.is_default() {
        hazards.extend(outranked(index, entity, policy));
    }
    for client in members {
        hazards.extend(of_member(index, entity, to, client, policy));
    }
    hazards
}

fn of_member(index: &Index<'_>, entity: &Entity, to: f64, client: &Client, policy: &Policy) -> Vec<Hazard> {
    let client = || client.clone();
    let effective = index.effective(&client());
    let mut hazards: Vec<Hazard> = effective
        .unsure
        .iter()
        .filter(|(by, _)| by.rank() < entity.rank())
        .map(|(by, _)| Hazard::Unsure { by: (*by).clone(), client: client() })
        .collect();
    // What binds the client without a quota of this entity.
    let mut others =
        effective.binding.into_iter().chain(effective.shadowed).filter(|(other, _)| *other != entity);
    let Some((other, limit)) = others.next() else { return hazards };
    if other.rank() < entity.rank() {
        hazards.push(Hazard::Shadowed { by: other.clone(), client: client() });
    } else if limit >= policy.sentinel_from {
        // It limits nobody, so there is nothing to escape from.
    } else if other.kind() != entity.kind() {
        // Buckets are told apart by their tags, and those by the shape of the quota.
        hazards.push(Hazard::Escapes { from: other.clone(), limit, client: client() });
    } else if to > limit {
        hazards.push(Hazard::Loosens { from: other.clone(), limit, client: client() });
    }
    hazards
}

/// What speaks against setting the default `entity` to a value that is meant to bind nobody.
#[must_use]
pub fn check_sentinel(index: &Index<'_>, entity: &Entity, value: f64, policy: &Policy) -> Vec<Hazard> {
    let mut hazards = basics(index, entity, value, None);
    if value.is_nan() || value < policy.sentinel_from {
        hazards.push(Hazard::BindsSomeone { value, from: policy.sentinel_from });
    }
    hazards.extend(outranked(index, entity, policy));
    hazards
}

fn basics(index: &Index<'_>, entity: &Entity, to: f64, ours: Option<f64>) -> Vec<Hazard> {
    let whole = index.key() == Key::RequestPercentage || to.fract() == 0.0;
    let invalid = !(to.is_finite() && to > 0.0 && whole);
    let invalid = invalid.then_some(Hazard::Invalid { value: to });
    let taken = index.get(entity).filter(|live| !same(Some(*live), ours));
    invalid.into_iter().chain(taken.map(|value| Hazard::Taken { value })).collect()
}

/// Live limits that a quota of this entity would outrank for some client.
fn outranked(index: &Index<'_>, entity: &Entity, policy: &Policy) -> Vec<Hazard> {
    let mut outranked: Vec<(&Entity, f64)> = index
        .iter()
        .filter(|(other, limit)| {
            other.rank() > entity.rank() && *limit < policy.sentinel_from && overlap(entity, other)
        })
        .collect();
    outranked.sort_by(|a, b| a.0.cmp(b.0));
    outranked
        .into_iter()
        .map(|(entity, limit)| Hazard::ShadowsOthers { entity: entity.clone(), limit })
        .collect()
}

/// Some connection is covered by both.
fn overlap(a: &Entity, b: &Entity) -> bool {
    let meet = |a: Option<&Part>, b: Option<&Part>| match (a, b) {
        (Some(Part::Name(a)), Some(Part::Name(b))) => a == b,
        _ => true,
    };
    meet(a.user_part(), b.user_part()) && meet(a.client_id_part(), b.client_id_part())
}

#[cfg(test)]
mod tests;
