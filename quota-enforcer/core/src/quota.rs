//! Quotas as the brokers hold them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::entity::Entity;

/// What a quota limits. Each key is a manager of its own in the broker: a quota for one does not hide one for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Bytes a second produced, per broker.
    ProducerByteRate,
    /// Bytes a second fetched, per broker.
    ConsumerByteRate,
    /// Percent of one request or network thread, per broker.
    RequestPercentage,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ProducerByteRate, Self::ConsumerByteRate, Self::RequestPercentage];

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ProducerByteRate => "producer_byte_rate",
            Self::ConsumerByteRate => "consumer_byte_rate",
            Self::RequestPercentage => "request_percentage",
        }
    }

    /// From Kafka's name; `None` for those that are no business of ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The value that Kafka takes for this wish: byte rates are whole and at least 1.
    #[must_use]
    pub fn rounded(self, value: f64) -> f64 {
        match self {
            Self::ProducerByteRate | Self::ConsumerByteRate => value.floor().max(1.0),
            Self::RequestPercentage => value.max(0.01),
        }
    }

    /// A mute of this key's throttle is bounded by the broker itself (to one window sample; `ClientRequestQuotaManager`).
    #[must_use]
    pub fn mute_is_bounded_by_broker(self) -> bool {
        self == Self::RequestPercentage
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One quota's place: whom and what it limits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// Whom.
    pub entity: Entity,
    /// What.
    pub key: Key,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.entity, self.key)
    }
}

/// All client quotas of a cluster at one moment, as one broker told them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    values: BTreeMap<Slot, f64>,
}

impl Snapshot {
    /// The value in a slot; `None` means that none is set there, which this snapshot knows.
    #[must_use]
    pub fn get(&self, slot: &Slot) -> Option<f64> {
        self.values.get(slot).copied()
    }

    /// Sets or removes a value; returns what stood there.
    pub fn set(&mut self, slot: Slot, value: Option<f64>) -> Option<f64> {
        match value {
            Some(value) => self.values.insert(slot, value),
            None => self.values.remove(&slot),
        }
    }

    /// All values of one key.
    pub fn of_key(&self, key: Key) -> impl Iterator<Item = (&Entity, f64)> {
        self.iter().filter(move |(slot, _)| slot.key == key).map(|(slot, value)| (&slot.entity, value))
    }

    /// Everything, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&Slot, f64)> {
        self.values.iter().map(|(slot, value)| (slot, *value))
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// No client quota is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl FromIterator<(Slot, f64)> for Snapshot {
    fn from_iter<I: IntoIterator<Item = (Slot, f64)>>(values: I) -> Self {
        Self { values: values.into_iter().collect() }
    }
}

/// Two values are the same quota. Kafka keeps and tells the double that it was given, so nothing is rounded on the way.
#[must_use]
pub fn same(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.total_cmp(&b).is_eq(),
        _ => false,
    }
}
