//! Whom no rule may touch, whatever the file says.

use daemon_kit::config::Spanned;
use quota_enforcer_core::entity::Kind;
use quota_enforcer_core::policy::{Mode, Pattern, Protected};

use super::check::Check;
use super::file::{File, Rule, Text};
use super::value::Value as _;

/// Principals of operators: every internal certificate of Strimzi carries its organisation, a client's does not.
const PRINCIPALS: [&str; 1] = ["CN=*,O=io.strimzi"];

/// Users that platform programs usually have: by SASL, or as the common name that begins the name of their certificate.
const USERS: [&str; 14] = [
    "connect",
    "connect-*",
    "kafka-connect*",
    "kafkaconnect*",
    "mirrormaker*",
    "mirror-maker*",
    "mm2",
    "mm2-*",
    "schema-registry*",
    "schemaregistry*",
    "cruise-control*",
    "cruisecontrol*",
    "strimzi-*",
    // Ourselves, where the brokers know us by a certificate.
    "quota-enforcer*",
];

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
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern((*text).to_owned())).collect::<Vec<_>>();
    let mut users = patterns(&PRINCIPALS);
    for name in USERS {
        users.push(Pattern(name.to_owned()));
        users.push(Pattern(format!("CN={name}")));
        if !name.ends_with('*') {
            users.push(Pattern(format!("CN={name},*")));
        }
    }
    Protected { users, client_ids: patterns(&CLIENT_IDS) }
}

/// Where a rule that sets quotas may meet any user, a person has to say which are to be protected: brokers do not tell their own
/// principals, nor super users.
pub(super) fn advise(check: &mut Check<'_>, file: &File) {
    let any_user = |rule: &&Spanned<Rule>| {
        let rule = &rule.value;
        let read = |text: &Option<Text>| text.as_ref().map(|text| text.value.clone()).unwrap_or_default();
        let of_users = matches!(Kind::parse(&read(&rule.entity)), Some(Kind::User | Kind::Pair));
        let users = rule.select.as_ref().and_then(|select| select.value.users.as_deref()).unwrap_or_default();
        let named = !users.is_empty() && users.iter().all(|user| !user.value.contains(['*', '?']));
        Mode::parse(&read(&rule.mode)) == Some(Mode::Enforce) && of_users && !named
    };
    let Some(rule) = file.rules.iter().flatten().find(any_user) else { return };
    let Some(mode) = &rule.value.mode else { return };
    if file.protected.users.is_none() {
        let message = "the rule may throttle every user that it selects, and nobody says whom not: `protected.users` is missing";
        let help = "list the brokers' own users, super users, and those of Connect, MirrorMaker, Schema Registry and other programs that \
                    serve all tenants, such as `protected: {users: [admin, svc-connect]}`; `users: []` says that there are none";
        check.error(mode, "protected", message, help);
    }
    let certificate = file
        .kafka
        .iter()
        .find(|(property, text)| *property == "security.protocol" && text.value.eq_ignore_ascii_case("ssl"));
    if let Some((_, text)) = certificate
        && file.protected.users.iter().flatten().all(|user| !user.value.contains('='))
    {
        let message = "brokers know this program by its certificate, so its own user is not known here";
        let help = "list it under `protected.users` as brokers write it, such as `CN=quota-enforcer,O=Example`, and \
                    where ssl.principal.mapping.rules shorten it, the short name too";
        check.warning(text, "protected", message, help);
    }
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
    fn platform_programs_are_protected_and_tenants_with_similar_names_are_not() {
        let hard = hard();
        for id in [
            "connect-cluster-offsets",
            "connector-producer-s3-0",
            "a->b|MirrorSourceConnector-0|replication-consumer",
            "quota-enforcer",
        ] {
            assert!(hard.find(&Entity::client_id(id)).is_some(), "{id}");
        }
        for user in [
            "CN=prod-cruise-control,O=io.strimzi",
            "connect",
            "connect-s3-sink",
            "kafka-connect",
            "CN=connect,OU=data,O=Example",
            "CN=mm2",
            "mirrormaker2",
            "mirror-maker-eu",
            "schema-registry",
            "CN=schema-registry-0.example.net,O=Example",
            "cruise-control",
            "CN=quota-enforcer,O=Example",
        ] {
            assert!(hard.find(&Entity::user(user)).is_some(), "{user}");
            assert!(hard.find(&Entity::pair(user, "app1")).is_some(), "{user}");
        }
        for entity in [
            Entity::user("CN=alice"),
            Entity::user("reconnect-service"),
            Entity::user("connection-pool"),
            Entity::user("disconnect"),
            Entity::user("CN=connected-cars"),
            Entity::user("CN=alice,OU=connect"),
            Entity::user("mm20"),
            Entity::client_id("app1"),
            Entity::client_id("reconnector-1"),
            // What librdkafka calls clients without a name.
            Entity::client_id("rdkafka"),
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
