use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::policy::{Caps, Evidence, Pattern, Protected};
use crate::quota::{Slot, Snapshot};

const KEY: Key = Key::ProducerByteRate;
const SENTINEL: f64 = 1e12;

fn policy() -> Policy {
    Policy {
        version: String::new(),
        rules: Vec::new(),
        protected: Protected {
            users: vec![Pattern("connect-*".to_owned())],
            client_ids: vec![Pattern("mm2".to_owned())],
        },
        caps: Caps { throttles: 1, share_of_clients: 1.0, share_of_traffic: 1.0, changes_per_minute: 1 },
        evidence: Evidence {
            max_age: Duration::ZERO,
            coverage: 1.0,
            scrape_interval: Duration::ZERO,
            settle_scrapes: 0,
        },
        mute: Duration::ZERO,
        sentinel_from: SENTINEL,
    }
}

fn entity(text: &str) -> Entity {
    text.parse().unwrap()
}

fn snapshot(quotas: &[(&str, f64)]) -> Snapshot {
    quotas.iter().map(|(text, value)| (Slot { entity: entity(text), key: KEY }, *value)).collect()
}

/// `user/client-id`, either of them `-` for unknown.
fn client(text: &str) -> Client {
    let (user, client_id) = text.split_once('/').unwrap();
    let part = |name: &str| (name != "-").then(|| name.to_owned());
    Client { user: part(user), client_id: part(client_id) }
}

fn checked(quotas: &[(&str, f64)], slot: &str, to: f64, ours: Option<f64>, members: &[&str]) -> Vec<String> {
    let snapshot = snapshot(quotas);
    let members: Vec<Client> = members.iter().map(|text| client(text)).collect();
    let members: Vec<&Client> = members.iter().collect();
    let index = Index::new(&snapshot, KEY);
    check(&index, &entity(slot), to, ours, &members, &policy()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_client_that_shares_a_limit_escapes_from_it() {
    let user = [("user=u", 1e7)];
    let escape = "it would take user=u,client-id=c out of the limit of 10000000 that user=u shares";
    assert_eq!(checked(&user, "user=u,client-id=c", 5e6, None, &["u/c"]), [escape]);
    // It stays one while ours stands.
    let both = [("user=u", 1e7), ("user=u,client-id=c", 5e6)];
    assert_eq!(checked(&both, "user=u,client-id=c", 4e6, Some(5e6), &["u/c"]), [escape]);
    let default = [("user=<default>", 1e7)];
    assert_eq!(checked(&default, "user=u,client-id=c", 5e6, None, &["u/c"]).len(), 1);
    assert_eq!(checked(&[("client-id=c", 1e7)], "user=u", 5e6, None, &["u/c"]).len(), 1);
    // Nothing to escape from: no limit, or one of our own.
    assert!(checked(&[("user=u", SENTINEL)], "user=u,client-id=c", 5e6, None, &["u/c"]).is_empty());
    assert!(checked(&[], "user=u,client-id=c", 5e6, None, &["u/c"]).is_empty());
}

#[test]
fn a_default_is_replaced_but_not_raised() {
    let default = [("user=<default>", 1e7)];
    assert!(checked(&default, "user=u", 5e6, None, &["u/-"]).is_empty());
    let loosens = "it would give user=u more than the 10000000 of user=<default>";
    assert_eq!(checked(&default, "user=u", 2e7, None, &["u/-"]), [loosens]);
}

#[test]
fn a_more_specific_quota_shadows_whatever_its_value() {
    let quotas = [("user=u,client-id=c", SENTINEL), ("user=v,client-id=<default>", 1.0)];
    let shadowed = "it would not bind user=u,client-id=c: the quota of user=u,client-id=c does";
    assert_eq!(checked(&quotas, "user=u", 5e6, None, &["u/c", "u/d"]), [shadowed]);
    assert_eq!(checked(&quotas, "user=v", 5e6, None, &["v/c"]).len(), 1);
    // What only the tags of another client could hide is named.
    let unsure =
        "the quota of user=u,client-id=c may bind connections of user=u; not all of its labels are known";
    assert_eq!(checked(&quotas, "user=u", 5e6, None, &["u/-"]), [unsure]);
    let defaults = [("user=<default>,client-id=c", 1.0)];
    assert_eq!(checked(&defaults, "client-id=c", 5e6, None, &["-/c"]).len(), 1);
    // A named user's quota binds no client that appears without a user.
    assert!(checked(&[("user=v", 1.0)], "client-id=c", 5e6, None, &["-/c"]).is_empty());
}

#[test]
fn what_stands_and_is_not_ours_is_taken() {
    let quotas = [("user=u", 1e6)];
    assert_eq!(
        checked(&quotas, "user=u", 5e5, None, &[]),
        ["a quota of 1000000 that is not ours stands there"]
    );
    assert_eq!(checked(&quotas, "user=u", 5e5, Some(9e5), &[]).len(), 1);
    assert!(checked(&quotas, "user=u", 5e5, Some(1e6), &[]).is_empty());
    for wrong in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY] {
        assert_eq!(checked(&[], "user=u", wrong, None, &[]).len(), 1, "{wrong}");
    }
}

#[test]
fn whom_no_rule_may_touch_is_never_bound() {
    assert_eq!(
        checked(&[], "user=connect-a", 1.0, None, &["connect-a/-"]),
        ["it would bind the protected user `connect-*`"]
    );
    assert_eq!(
        checked(&[], "user=u", 1.0, None, &["u/a", "u/mm2"]),
        ["it would bind the protected client id `mm2`"]
    );
}

#[test]
fn a_sentinel_hides_no_limit() {
    let found = |quotas: &[(&str, f64)], slot: &str, value: f64| {
        let snapshot = snapshot(quotas);
        check_sentinel(&Index::new(&snapshot, KEY), &entity(slot), value, &policy())
    };
    // The lowest rank hides nothing; a default of pairs hides three shapes.
    let all = [("user=<default>", 1.0), ("client-id=c", 1.0), ("user=u", 1.0), ("user=u,client-id=c", 1.0)];
    assert!(found(&all, "client-id=<default>", SENTINEL).is_empty());
    let hidden = |entity: &str| Hazard::ShadowsOthers { entity: entity.parse().unwrap(), limit: 1.0 };
    assert_eq!(
        found(&all, "user=<default>,client-id=<default>", SENTINEL),
        [hidden("user=<default>"), hidden("client-id=c")]
    );
    assert!(found(&[("client-id=c", SENTINEL)], "user=<default>", SENTINEL).is_empty());
    assert_eq!(found(&[], "user=<default>", 1e6).len(), 1);
    assert_eq!(found(&[("user=<default>", SENTINEL)], "user=<default>", SENTINEL).len(), 1);
    // A throttle on a default is asked the same.
    assert_eq!(checked(&[("client-id=c", 1.0)], "user=<default>", 5.0, None, &[]).len(), 1);
}

fn any_entity() -> impl Strategy<Value = Entity> {
    let part = || prop_oneof![Just(Part::Default), "[ab]".prop_map(Part::Name)];
    prop_oneof![
        part().prop_map(Entity::User),
        part().prop_map(Entity::ClientId),
        (part(), part()).prop_map(|(user, client_id)| Entity::Pair(user, client_id)),
    ]
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let value = prop_oneof![1.0..100.0f64, Just(SENTINEL)];
    let slot = any_entity().prop_map(|entity| Slot { entity, key: KEY });
    proptest::collection::btree_map(slot, value, 0..8).prop_map(|values| values.into_iter().collect())
}

proptest! {
    /// Nothing speaks against it: then each member is bound by the new quota, and by no more than bound it before, in the
    /// same bucket if it was in one.
    #[test]
    fn a_write_without_hazards_only_tightens(snapshot in any_snapshot(), entity in any_entity(), to in 1u32..100, user in "[abc]", client_id in "[abc]") {
        let to = f64::from(to);
        let member = Client { user: Some(user), client_id: Some(client_id) };
        prop_assume!(entity.covers(&member));
        let index = Index::new(&snapshot, KEY);
        let hazards = check(&index, &entity, to, None, &[&member], &policy());
        let mut after = snapshot.clone();
        after.set(Slot { entity: entity.clone(), key: KEY }, Some(to));
        let after = Index::new(&after, KEY);
        let (was, is) = (index.effective(&member).binding, after.effective(&member).binding);
        let tightens = is == Some((&entity, to))
            && was.is_none_or(|(from, limit)| {
                limit >= SENTINEL || (limit >= to && from.kind() == entity.kind() && *from != entity)
            });
        prop_assert!(tightens || !hazards.is_empty());
        if !entity.is_default() && index.get(&entity).is_none() {
            prop_assert_eq!(tightens, hazards.is_empty(), "{:?}", hazards);
        }
    }
}
