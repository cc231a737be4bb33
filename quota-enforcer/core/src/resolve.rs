//! Which quota binds a client, and under which labels its usage appears.
//!
//! Both follow the default callback of Kafka's `ClientQuotaManager` (4.0 and later): of eight levels the most specific
//! one with a value binds ([`Entity::rank`]), and the labels of a sensor follow the levels that are in use.

use std::collections::{BTreeMap, HashMap};

use crate::entity::{Client, Entity, Kind, Part};
use crate::quota::{Key, Snapshot};

/// What binds a client, for one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effective<'a> {
    /// The quota that binds it; `None`: nothing limits it.
    pub binding: Option<(&'a Entity, f64)>,
    /// Quotas that would bind it, were the ones before them not there; the next one first.
    pub shadowed: Vec<(&'a Entity, f64)>,
    /// Quotas that may bind some of its connections instead of `binding`, which the unknown part of the client hides.
    pub unsure: Vec<(&'a Entity, f64)>,
}

impl Effective<'_> {
    /// The value that binds.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.binding.map(|(_, value)| value)
    }
}

/// The shapes of entities that have a quota for a key. They decide the labels of that key's series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Levels {
    /// Some user has one, or their default.
    pub user: bool,
    /// Some client id has one, or their default.
    pub client_id: bool,
    /// Some pair has one, or a default of pairs.
    pub pair: bool,
}

impl Levels {
    /// How many are in use. With none there are no series at all.
    #[must_use]
    pub fn count(self) -> usize {
        [self.user, self.client_id, self.pair].into_iter().filter(|used| *used).count()
    }
}

/// One part of a key of the index; borrowed, so that asking allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side<'a> {
    Absent,
    Default,
    Name(&'a str),
}

impl<'a> From<Option<&'a Part>> for Side<'a> {
    fn from(part: Option<&'a Part>) -> Self {
        match part {
            None => Self::Absent,
            Some(Part::Default) => Self::Default,
            Some(Part::Name(name)) => Self::Name(name),
        }
    }
}

type Found<'a> = (&'a Entity, f64);

/// The quotas of one key, built once a tick: each question costs at most eight look-ups.
#[derive(Debug)]
pub struct Index<'a> {
    key: Key,
    quotas: HashMap<(Side<'a>, Side<'a>), Found<'a>>,
    named_pairs_by_user: BTreeMap<&'a str, Vec<Found<'a>>>,
    named_pairs_by_client_id: BTreeMap<&'a str, Vec<Found<'a>>>,
    users: usize,
    client_ids: usize,
    pairs: usize,
}

impl<'a> Index<'a> {
    /// Of the quotas of one key.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, key: Key) -> Self {
        let mut index = Self {
            key,
            quotas: HashMap::new(),
            named_pairs_by_user: BTreeMap::new(),
            named_pairs_by_client_id: BTreeMap::new(),
            users: 0,
            client_ids: 0,
            pairs: 0,
        };
        for found in snapshot.of_key(key) {
            let entity = found.0;
            index.quotas.insert((entity.user_part().into(), entity.client_id_part().into()), found);
            *index.count_mut(entity.kind()) += 1;
            if let Entity::Pair(Part::Name(user), Part::Name(client_id)) = entity {
                index.named_pairs_by_user.entry(user).or_default().push(found);
                index.named_pairs_by_client_id.entry(client_id).or_default().push(found);
            }
        }
        index
    }

    fn count_mut(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::User => &mut self.users,
            Kind::ClientId => &mut self.client_ids,
            Kind::Pair => &mut self.pairs,
        }
    }

    /// What the quotas limit.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// The value that an entity itself has.
    #[must_use]
    pub fn get(&self, entity: &Entity) -> Option<f64> {
        self.quotas.get(&(entity.user_part().into(), entity.client_id_part().into())).map(|found| found.1)
    }

    /// All quotas, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a Entity, f64)> {
        self.quotas.values().copied()
    }

    /// What binds a client.
    ///
    /// A client with an unknown part is taken for what the tags of its sensor say: Kafka drops a tag where no quota with
    /// that part binds, so a named user's quota is no candidate for a client of which only the client id is known, and the
    /// reverse. Series can linger under old tags, though, and an exporter can lose a label. So named pairs that name the
    /// known part are [`Effective::unsure`] where they outrank what binds.
    #[must_use]
    pub fn effective(&self, client: &Client) -> Effective<'a> {
        use Side::{Absent, Default};
        let user = client.user.as_deref().map(Side::Name);
        let client_id = client.client_id.as_deref().map(Side::Name);
        // In the order of ranks.
        let places = [
            (user, client_id),
            (user, Some(Default)),
            (user, Some(Absent)),
            (Some(Default), client_id),
            (Some(Default), Some(Default)),
            (Some(Default), Some(Absent)),
            (Some(Absent), client_id),
            (Some(Absent), Some(Default)),
        ];
        let mut found = places.into_iter().filter_map(|(user, client_id)| {
            let place = (user?, client_id?);
            self.quotas.get(&place).copied()
        });
        let binding = found.next();
        let shadowed = found.collect();
        let outranks = |found: &&Found<'a>| binding.is_none_or(|(entity, _)| found.0.rank() < entity.rank());
        let unsure = match (&client.user, &client.client_id) {
            (Some(_), Some(_)) => Vec::new(),
            (None, None) => self.quotas.values().filter(outranks).copied().collect(),
            (Some(user), None) => self
                .named_pairs_by_user
                .get(user.as_str())
                .into_iter()
                .flatten()
                .filter(outranks)
                .copied()
                .collect(),
            (None, Some(client_id)) => {
                let pairs = self.named_pairs_by_client_id.get(client_id.as_str());
                pairs.into_iter().flatten().filter(outranks).copied().collect()
            }
        };
        Effective { binding, shadowed, unsure }
    }

    /// The levels in use.
    ///
    /// Brokers before KAFKA-19282 keep a level in use until they restart, even after its last quota is gone: there the
    /// labels may follow more levels than this tells.
    #[must_use]
    pub fn levels(&self) -> Levels {
        Levels { user: self.users > 0, client_id: self.client_ids > 0, pair: self.pairs > 0 }
    }

    /// Brokers would give these tags to a sensor now. A sensor that had them before stays for an hour and tells a rate of zero,
    /// while its client is measured under others.
    #[must_use]
    pub fn measures(&self, tags: &Client) -> bool {
        let kind = match (&tags.user, &tags.client_id) {
            (Some(_), Some(_)) => Kind::Pair,
            (Some(_), None) => Kind::User,
            (None, Some(_)) => Kind::ClientId,
            (None, None) => return false,
        };
        match self.only_level() {
            Some(only) => only == kind,
            None => self.effective(tags).binding.map_or(Kind::ClientId, |(entity, _)| entity.kind()) == kind,
        }
    }

    /// The level that all tags follow, if there is one.
    fn only_level(&self) -> Option<Kind> {
        let levels = self.levels();
        match (levels.user, levels.client_id, levels.pair) {
            (true, false, false) => Some(Kind::User),
            (false, _, false) => Some(Kind::ClientId),
            (false, false, true) => Some(Kind::Pair),
            _ => None,
        }
    }

    /// The tags of a client's sensor. With one level in use they are those of the level, for every client; with several,
    /// those of the level that binds the client, or else the client id alone. The tags of a client that is not wholly
    /// known are what is known of it. With no level in use there is no sensor; the tags are those that Kafka would form.
    #[must_use]
    pub fn tags(&self, client: &Client) -> Client {
        if client.user.is_none() || client.client_id.is_none() {
            return client.clone();
        }
        let binding = || self.effective(client).binding.map_or(Kind::ClientId, |(entity, _)| entity.kind());
        let kind = self.only_level().unwrap_or_else(binding);
        Client {
            user: client.user.clone().filter(|_| kind != Kind::ClientId),
            client_id: client.client_id.clone().filter(|_| kind != Kind::User),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quota::Slot;

    const KEY: Key = Key::ProducerByteRate;

    fn snapshot(quotas: &[(&str, f64)]) -> Snapshot {
        let slot = |entity: &str| Slot { entity: entity.parse().unwrap(), key: KEY };
        quotas.iter().map(|(entity, value)| (slot(entity), *value)).collect()
    }

    fn client(user: Option<&str>, client_id: Option<&str>) -> Client {
        Client { user: user.map(str::to_owned), client_id: client_id.map(str::to_owned) }
    }

    fn names(found: &[(&Entity, f64)]) -> Vec<String> {
        found.iter().map(|(entity, _)| entity.to_string()).collect()
    }

    /// Every quota that covers the client, as text and in the order of ranks, without any index.
    fn covering(snapshot: &Snapshot, client: &Client) -> Vec<(Entity, f64)> {
        let mut all: Vec<(Entity, f64)> = snapshot
            .of_key(KEY)
            .filter(|(entity, _)| entity.covers(client))
            .map(|(entity, value)| (entity.clone(), value))
            .collect();
        all.sort_by_key(|(entity, _)| entity.rank());
        all
    }

    fn part() -> impl Strategy<Value = Part> {
        prop_oneof![Just(Part::Default), "[ab]".prop_map(Part::Name)]
    }

    fn entity() -> impl Strategy<Value = Entity> {
        prop_oneof![
            part().prop_map(Entity::User),
            part().prop_map(Entity::ClientId),
            (part(), part()).prop_map(|(user, client_id)| Entity::Pair(user, client_id)),
        ]
    }

    fn any_snapshot() -> impl Strategy<Value = Snapshot> {
        let key = prop_oneof![4 => Just(KEY), 1 => Just(Key::ConsumerByteRate)];
        let slot = (entity(), key).prop_map(|(entity, key)| Slot { entity, key });
        proptest::collection::btree_map(slot, 1.0..100.0f64, 0..12)
            .prop_map(|values| values.into_iter().collect())
    }

    proptest! {
        #[test]
        fn the_most_specific_quota_binds(snapshot in any_snapshot(), user in "[abc]", client_id in "[abc]") {
            let client = client(Some(&user), Some(&client_id));
            let index = Index::new(&snapshot, KEY);
            let effective = index.effective(&client);
            let found: Vec<(Entity, f64)> = effective
                .binding
                .into_iter()
                .chain(effective.shadowed)
                .map(|(entity, value)| (entity.clone(), value))
                .collect();
            prop_assert_eq!(found, covering(&snapshot, &client));
            prop_assert!(effective.unsure.is_empty());
        }

        /// Wherever a sensor's tags lead back to the quota that binds the client, as the broker itself must find it, the
        /// tags alone lead there too, or what they hide is named.
        #[test]
        fn tags_tell_what_binds(snapshot in any_snapshot(), user in "[abc]", client_id in "[abc]") {
            let whole = client(Some(&user), Some(&client_id));
            let index = Index::new(&snapshot, KEY);
            let tags = index.tags(&whole);
            let (real, told) = (index.effective(&whole), index.effective(&tags));
            prop_assert!(real.binding == told.binding || real.binding.is_some_and(|found| told.unsure.contains(&found)));
            // In use alone, a level gives its tags to every client.
            if index.levels().count() == 1 {
                let levels = Levels { user: tags.client_id.is_none(), client_id: tags.user.is_none(), pair: tags == whole };
                prop_assert_eq!(levels, index.levels());
            }
        }
    }

    #[test]
    fn labels_follow_the_levels_in_use() {
        // The states of a real broker in turn: three series by client id, then one by both, then all by user.
        let default = ("client-id=<default>", 1e12);
        let pair = ("user=alice,client-id=app1", 5e4);
        let tags = |quotas: &[(&str, f64)], user: &str, client_id: &str| {
            let snapshot = snapshot(quotas);
            Index::new(&snapshot, KEY).tags(&client(Some(user), Some(client_id)))
        };
        assert_eq!(tags(&[default], "alice", "app1"), client(None, Some("app1")));
        assert_eq!(tags(&[default, pair], "alice", "app1"), client(Some("alice"), Some("app1")));
        assert_eq!(tags(&[default, pair], "alice", "app2"), client(None, Some("app2")));
        let users = ("user=<default>", 1e12);
        assert_eq!(tags(&[default, users], "bob", "app3"), client(Some("bob"), None));
        let alice = ("user=alice", 5e4);
        assert_eq!(tags(&[alice], "bob", "app3"), client(Some("bob"), None));
        assert_eq!(tags(&[alice, default], "bob", "app3"), client(None, Some("app3")));
        assert_eq!(tags(&[alice, pair], "bob", "app3"), client(None, Some("app3")));
        assert_eq!(tags(&[pair], "bob", "app3"), client(Some("bob"), Some("app3")));
    }

    #[test]
    fn what_an_unknown_part_hides_is_named() {
        let quotas = [
            ("user=alice,client-id=app1", 1.0),
            ("user=alice,client-id=app2", 2.0),
            ("user=bob", 3.0),
            ("client-id=app1", 4.0),
        ];
        let snapshot = snapshot(&quotas);
        let index = Index::new(&snapshot, KEY);
        let app1 = index.effective(&client(None, Some("app1")));
        assert_eq!(
            (app1.value(), names(&app1.unsure)),
            (Some(4.0), vec!["user=alice,client-id=app1".to_owned()])
        );
        let alice = index.effective(&client(Some("alice"), None));
        assert_eq!((alice.value(), alice.unsure.len()), (None, 2));
        let bob = index.effective(&client(Some("bob"), None));
        assert_eq!((bob.value(), bob.unsure.len()), (Some(3.0), 0));
        assert_eq!(index.effective(&client(None, None)).unsure.len(), 4);
    }
}
