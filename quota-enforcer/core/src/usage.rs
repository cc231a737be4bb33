//! What the metrics say each client uses, with age and coverage.
//!
//! A rate that is not there is unknown. It is never taken for zero, and unknown never leads to an act.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::entity::{Client, Entity, Kind};
use crate::quota::Key;
use crate::resolve;
use crate::time::Timestamp;

/// A broker's node id.
pub type BrokerId = i32;

/// One series of a broker's quota sensor: the labels are the sensor's tags, not the client's whole identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Whose sensor.
    pub broker: BrokerId,
    /// Its tags, decoded.
    pub client: Client,
    /// The sensor's rate when it was scraped last, in the key's unit; NaN is possible.
    pub rate: f64,
    /// The highest rate scraped within the look-back; at least `rate`.
    pub peak: f64,
    /// When it was scraped last.
    pub at: Timestamp,
}

/// All readings of one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// One per broker and tag set.
    pub readings: Vec<Reading>,
    /// When each broker was scraped successfully last, whether or not it had a sensor of this key.
    pub scraped: BTreeMap<BrokerId, Timestamp>,
}

/// How old and how complete evidence must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirements {
    /// Readings older than this are no evidence.
    pub max_age: Duration,
    /// The share of the cluster's brokers that must have been scraped within `max_age`, 0 to 1.
    pub coverage: f64,
    /// What is older than this was measured under other quotas or labels.
    pub not_before: Timestamp,
}

/// A subject's rates, all of them fresh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// On each broker that has a sensor: rate now and highest rate in the look-back.
    pub brokers: BTreeMap<BrokerId, Rate>,
    /// The oldest of the readings.
    pub at: Timestamp,
    /// The newest of them: only when `at` is later than this was, every broker has been scraped again.
    #[serde(default)]
    pub newest: Timestamp,
    /// How many brokers were scraped, of how many.
    pub covered: (usize, usize),
}

/// A rate on one broker, in the key's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// When scraped last.
    pub now: f64,
    /// The highest in the look-back.
    pub peak: f64,
}

impl Rates {
    /// On each broker, now.
    #[must_use]
    pub fn by_broker(&self) -> BTreeMap<BrokerId, f64> {
        self.brokers.iter().map(|(broker, rate)| (*broker, rate.now)).collect()
    }

    /// The sum over all brokers.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.brokers.values().map(|rate| rate.now).sum()
    }

    /// The highest rate on any one broker, now.
    #[must_use]
    pub fn worst(&self) -> f64 {
        self.brokers.values().map(|rate| rate.now).fold(0.0, f64::max)
    }

    /// The highest rate on any one broker within the look-back.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.brokers.values().map(|rate| rate.peak).fold(0.0, f64::max)
    }
}

/// Why a rate is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Unknown {
    /// No series at all carries the labels that this kind of entity needs.
    NoSeries,
    /// Some series do not name what this kind of entity needs, and a client above the threshold may hide among them.
    Nameless {
        /// How many.
        series: usize,
        /// What they tell together, in the key's unit.
        rate: f64,
        /// What they measure.
        key: Key,
        /// What they do not name.
        entity: Kind,
    },
    /// The entity has no series (any more), or only such as are left of one that is measured by other labels now.
    Vanished,
    /// Too few brokers were scraped.
    Coverage {
        /// Scraped in time.
        scraped: usize,
        /// In the cluster.
        brokers: usize,
    },
    /// A reading is too old.
    Stale {
        /// Its broker.
        broker: BrokerId,
        /// Its age in milliseconds.
        age_ms: i64,
    },
    /// A reading was taken before the last quota write could show.
    Settling {
        /// Readings count from here on.
        until: Timestamp,
    },
    /// A reading is NaN, infinite or negative.
    NotANumber {
        /// Its broker.
        broker: BrokerId,
    },
    /// Something that the measure needs beside rates is not known.
    Missing {
        /// What.
        what: String,
    },
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSeries => f.write_str("no series carries the labels that this kind of entity needs"),
            Self::Nameless { series, rate, key, entity } => {
                let name = match entity {
                    Kind::User => "name no user",
                    Kind::ClientId => "name no client id",
                    Kind::Pair => "do not name both user and client id",
                };
                let rate = human(*key, *rate);
                write!(
                    f,
                    "{series} series with {rate} {name}: who is above the threshold may hide among them"
                )
            }
            Self::Vanished => f.write_str("the entity has no series"),
            Self::Coverage { scraped, brokers } => {
                write!(f, "only {scraped} of {brokers} brokers were scraped in time")
            }
            Self::Stale { broker, age_ms } => {
                write!(f, "the last reading of broker {broker} is {:.1} s old", *age_ms as f64 / 1000.0)
            }
            Self::Settling { until } => {
                write!(f, "readings from before {until} were taken under other quotas")
            }
            Self::NotANumber { broker } => write!(f, "a reading of broker {broker} is no number"),
            Self::Missing { what } => write!(f, "{what} is not known"),
        }
    }
}

/// The index of one key's usage: built once a tick, asked once per subject.
#[derive(Debug)]
pub struct Index<'a> {
    usage: &'a Usage,
    brokers: &'a BTreeSet<BrokerId>,
    /// Readings that say something.
    live: Vec<u32>,
    by_user: BTreeMap<&'a str, Vec<u32>>,
    by_client_id: BTreeMap<&'a str, Vec<u32>>,
}

impl<'a> Index<'a> {
    /// Of the usage of one key, in a cluster of these brokers with these quotas. A rate of zero under tags that brokers do not
    /// give any more ([`resolve::Index::measures`]) says nothing and is left out, where the quotas are known.
    #[must_use]
    pub fn new(
        usage: &'a Usage,
        brokers: &'a BTreeSet<BrokerId>,
        quotas: Option<&resolve::Index<'_>>,
    ) -> Self {
        let (by_user, by_client_id) = (BTreeMap::new(), BTreeMap::new());
        let mut index = Self { usage, brokers, live: Vec::new(), by_user, by_client_id };
        for (at, reading) in (0_u32..).zip(&usage.readings) {
            if reading.rate == 0.0 && quotas.is_some_and(|quotas| !quotas.measures(&reading.client)) {
                continue;
            }
            index.live.push(at);
            if let Some(user) = &reading.client.user {
                index.by_user.entry(user).or_default().push(at);
            }
            if let Some(client_id) = &reading.client.client_id {
                index.by_client_id.entry(client_id).or_default().push(at);
            }
        }
        index
    }

    /// The readings that say something.
    pub fn readings(&self) -> impl Iterator<Item = &'a Reading> {
        let readings = &self.usage.readings;
        self.live.iter().filter_map(|at| readings.get(*at as usize))
    }

    /// The readings whose tags an entity with names covers.
    pub fn readings_of(&self, entity: &'a Entity) -> impl Iterator<Item = &'a Reading> {
        use crate::entity::Part::Name;
        let places = match entity {
            Entity::User(Name(user)) | Entity::Pair(Name(user), _) => self.by_user.get(user.as_str()),
            Entity::ClientId(Name(client_id)) => self.by_client_id.get(client_id.as_str()),
            _ => None,
        };
        let readings = &self.usage.readings;
        places
            .into_iter()
            .flatten()
            .filter_map(|at| readings.get(*at as usize))
            .filter(move |reading| entity.covers(&reading.client))
    }

    /// How much of the cluster was scraped in time.
    ///
    /// # Errors
    /// [`Unknown::Coverage`] when that is too little.
    pub fn coverage(&self, need: &Requirements, now: Timestamp) -> Result<(usize, usize), Unknown> {
        let brokers = self.brokers.len();
        let fresh = |broker: &&BrokerId| {
            self.usage.scraped.get(broker).is_some_and(|at| now.since(*at) <= need.max_age)
        };
        let scraped = self.brokers.iter().filter(fresh).count();
        if brokers == 0 || (scraped as f64) < need.coverage * brokers as f64 {
            return Err(Unknown::Coverage { scraped, brokers });
        }
        Ok((scraped, brokers))
    }

    /// The rates of an entity, if they are known.
    ///
    /// # Errors
    /// Why they are not.
    pub fn rates(&self, entity: &'a Entity, need: &Requirements, now: Timestamp) -> Result<Rates, Unknown> {
        let covered = self.coverage(need, now)?;
        let mut brokers: BTreeMap<BrokerId, Rate> = BTreeMap::new();
        let (mut at, mut newest) = (now, Timestamp(i64::MIN));
        for reading in self.readings_of(entity) {
            // A broker that left the cluster takes its sensors with it.
            if !self.brokers.contains(&reading.broker) {
                continue;
            }
            if !(reading.rate.is_finite() && reading.rate >= 0.0 && reading.peak.is_finite()) {
                return Err(Unknown::NotANumber { broker: reading.broker });
            }
            let age = now.since(reading.at);
            if age > need.max_age {
                return Err(Unknown::Stale { broker: reading.broker, age_ms: crate::time::millis(age) });
            }
            if reading.at < need.not_before {
                return Err(Unknown::Settling { until: need.not_before });
            }
            (at, newest) = (at.min(reading.at), newest.max(reading.at));
            let rate = brokers.entry(reading.broker).or_insert(Rate { now: 0.0, peak: 0.0 });
            rate.now += reading.rate;
            rate.peak += reading.peak.max(reading.rate);
        }
        if brokers.is_empty() {
            return Err(Unknown::Vanished);
        }
        Ok(Rates { brokers, at, newest, covered })
    }

    /// What all clients together use on each broker.
    ///
    /// # Errors
    /// Why it is not known: one bad reading makes a total unknown.
    pub fn totals(&self, need: &Requirements, now: Timestamp) -> Result<BTreeMap<BrokerId, f64>, Unknown> {
        self.coverage(need, now)?;
        let mut totals = BTreeMap::new();
        for reading in self.usage.readings.iter().filter(|reading| self.brokers.contains(&reading.broker)) {
            if !(reading.rate.is_finite() && reading.rate >= 0.0) {
                return Err(Unknown::NotANumber { broker: reading.broker });
            }
            // A sensor that nobody feeds any more expires in the broker; its last word is no traffic of now.
            if now.since(reading.at) <= need.max_age {
                *totals.entry(reading.broker).or_insert(0.0) += reading.rate;
            }
        }
        Ok(totals)
    }
}

/// What one rule's query answered for one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// In the unit of the rule's thresholds.
    pub value: f64,
    /// When it was evaluated.
    pub at: Timestamp,
}

/// A rate with its unit, for people.
#[must_use]
pub fn human(key: Key, value: f64) -> String {
    if key == Key::RequestPercentage {
        return format!("{value:.1} %");
    }
    for (unit, size) in [("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3)] {
        if value.abs() >= size {
            return format!("{:.2} {unit}", value / size);
        }
    }
    format!("{value:.0} B/s")
}
