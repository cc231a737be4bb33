use super::*;
use crate::adapters::ledger::Settings;

fn sample() -> spec::Ledger {
    Settings::sample().ledger
}

fn found(wanted: &Wanted) -> Found {
    let configs = wanted.configs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    Found { partitions: 1, replicas: wanted.replicas as usize, configs }
}

/// What is said when one setting of a topic is another.
fn with(purpose: Purpose, key: &str, value: &str) -> Findings {
    let wanted = wanted(&sample()).into_iter().find(|wanted| wanted.purpose == purpose).unwrap();
    let mut found = found(&wanted);
    found.configs.insert(key.to_owned(), value.to_owned());
    wanted.check(&found)
}

#[test]
fn what_is_created_is_what_is_wanted() {
    for wanted in wanted(&sample()) {
        assert_eq!(wanted.check(&found(&wanted)), Findings::default());
    }
}

#[test]
fn a_ledger_that_forgets_is_an_error() {
    for (key, value) in [
        ("cleanup.policy", "delete"),
        ("cleanup.policy", "compact,delete"),
        ("unclean.leader.election.enable", "true"),
        ("min.insync.replicas", "1"),
    ] {
        let findings = with(Purpose::Ledger, key, value);
        assert_eq!((findings.errors.len(), findings.warnings.len()), (1, 0), "{key}={value}");
        assert!(findings.errors[0].contains(&format!("{key}={value}")), "{findings:?}");
        assert!(findings.errors[0].contains(" --add-config "), "{findings:?}");
    }
}

#[test]
fn an_audit_topic_that_forgets_early_is_a_warning() {
    for (key, value) in [("retention.ms", "604800000"), ("retention.bytes", "1000000")] {
        let findings = with(Purpose::Audit, key, value);
        assert_eq!((findings.errors.len(), findings.warnings.len()), (0, 1), "{key}={value}");
    }
    assert_eq!(with(Purpose::Audit, "retention.ms", "-1"), Findings::default());
    assert_eq!(with(Purpose::Audit, "cleanup.policy", "compact").errors.len(), 1);
}

#[test]
fn as_many_in_sync_as_there_are_is_a_warning() {
    assert_eq!(with(Purpose::Ledger, "min.insync.replicas", "3").warnings.len(), 1);
}

#[test]
fn too_few_replicas_or_too_many_partitions_are_errors() {
    let [ledger, _] = wanted(&sample());
    assert_eq!(ledger.check(&Found { replicas: 2, ..found(&ledger) }).errors.len(), 1);
    assert_eq!(ledger.check(&Found { partitions: 2, ..found(&ledger) }).errors.len(), 1);
    let [alone, _] = wanted(&spec::Ledger { replication: 1, min_insync_replicas: 1, ..sample() });
    assert_eq!(alone.check(&found(&alone)), Findings::default());
}

#[test]
fn the_command_has_every_setting() {
    let [_, audit] = wanted(&sample());
    insta::assert_snapshot!(audit.command(), @"kafka-topics --create --topic audit --partitions 1 --replication-factor 3 --config cleanup.policy=delete --config retention.ms=31536000000 --config retention.bytes=-1 --config min.insync.replicas=2 --config unclean.leader.election.enable=false");
}
