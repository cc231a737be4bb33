//! Whom no rule may touch, whatever the file says. The brokers' own principals are learned from the brokers.

use quota_enforcer_core::policy::{Pattern, Protected};

/// Principals of operators: every internal certificate of Strimzi carries its organisation, a client's does not.
const USERS: [&str; 1] = ["CN=*,O=io.strimzi"];

/// Client ids that platform programs give themselves.
const CLIENT_IDS: [&str; 19] = [
    // Brokers and controllers.
    "broker-*-fetcher-*",
    "raft-client-*",
    // Kafka Connect: workers (offsets, configs, statuses) and the clients of their connectors.
    "connect-*",
    "connector-*",
    // MirrorMaker 1 and 2.
    "mirrormaker*",
    "mirror-maker*",
    "*|MirrorSourceConnector*",
    "*|MirrorCheckpointConnector*",
    "*|MirrorHeartbeatConnector*",
    // Schema Registry.
    "schema-registry*",
    "sr-*",
    // Cruise Control and its reporter in the brokers.
    "CruiseControlMetricsReporter*",
    "kafka-cruise-control*",
    "cruise-control*",
    // Operators.
    "strimzi-*",
    "*-topic-operator*",
    "*-user-operator*",
    // Ourselves.
    "quota-enforcer*",
    "backstop-*",
];

/// The hard list.
#[must_use]
pub fn hard() -> Protected {
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern((*text).to_owned())).collect();
    Protected { users: patterns(&USERS), client_ids: patterns(&CLIENT_IDS) }
}

/// Whatever `inner` matches, `outer` matches too. False where that is not plain to see.
pub(super) fn covers(outer: &Pattern, inner: &Pattern) -> bool {
    // A wildcard of `inner` is eaten by a star of `outer`, as a letter would be; by `?` only if it stands for one character.
    outer.matches(&inner.0) && !(outer.0.contains('?') && inner.0.contains('*'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quota_enforcer_core::entity::Entity;

    use super::*;

    #[test]
    fn platform_programs_are_protected_and_their_users_are_not() {
        let hard = hard();
        for id in [
            "connect-cluster-offsets",
            "connector-producer-s3-0",
            "a->b|MirrorSourceConnector-0|replication-consumer",
            "quota-enforcer",
        ] {
            assert!(hard.find(&Entity::client_id(id)).is_some(), "{id}");
        }
        assert!(hard.find(&Entity::user("CN=prod-cruise-control,O=io.strimzi")).is_some());
        for entity in [
            Entity::user("CN=alice"),
            Entity::user("connect"),
            Entity::client_id("app1"),
            Entity::client_id("reconnector-1"),
        ] {
            assert_eq!(hard.find(&entity), None, "{entity}");
        }
    }

    proptest! {
        #[test]
        fn what_is_covered_is_matched(outer in "[ab*?]{0,5}", inner in "[ab*?]{0,5}", name in "[ab]{0,6}") {
            let (outer, inner) = (Pattern(outer), Pattern(inner));
            if covers(&outer, &inner) && inner.matches(&name) {
                prop_assert!(outer.matches(&name));
            }
        }
    }
}
