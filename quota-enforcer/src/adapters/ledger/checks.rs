//! What the two topics must be like.

use std::collections::BTreeMap;

use crate::spec;

/// A topic as it is meant to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) purpose: Purpose,
    pub(super) replicas: u32,
    /// What it is created with.
    pub(super) configs: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Ledger,
    Audit,
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) partitions: usize,
    /// Of the partition that has the fewest.
    pub(super) replicas: usize,
    pub(super) configs: BTreeMap<String, String>,
}

/// What is wrong with a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Facts or proof may be lost: not to be relied on.
    pub(super) errors: Vec<String>,
    /// Worth knowing.
    pub(super) warnings: Vec<String>,
}

/// Both topics, as the settings want them.
pub(super) fn wanted(ledger: &spec::Ledger) -> [Wanted; 2] {
    let durable = |configs: Vec<(&'static str, String)>| {
        let in_sync = ("min.insync.replicas", ledger.min_insync_replicas.to_string());
        let unclean = ("unclean.leader.election.enable", "false".to_owned());
        configs.into_iter().chain([in_sync, unclean]).collect()
    };
    let facts = vec![
        ("cleanup.policy", "compact".to_owned()),
        // Each heartbeat is a record: closed segments are small and compacted soon, so that a new leader reads little.
        ("segment.ms", "3600000".to_owned()),
        ("segment.bytes", "16777216".to_owned()),
        ("min.cleanable.dirty.ratio", "0.1".to_owned()),
        ("max.compaction.lag.ms", "86400000".to_owned()),
    ];
    let chain = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", ledger.audit_retention.as_millis().to_string()),
        ("retention.bytes", "-1".to_owned()),
    ];
    let topic = |name: &str, purpose, configs| Wanted {
        name: name.to_owned(),
        purpose,
        replicas: ledger.replication,
        configs: durable(configs),
    };
    [topic(&ledger.topic, Purpose::Ledger, facts), topic(&ledger.audit_topic, Purpose::Audit, chain)]
}

impl Wanted {
    /// The command that makes it.
    pub(super) fn command(&self) -> String {
        let configs: String =
            self.configs.iter().map(|(key, value)| format!(" --config {key}={value}")).collect();
        format!(
            "kafka-topics --create --topic {} --partitions 1 --replication-factor {}{configs}",
            self.name, self.replicas
        )
    }

    fn config(&self, key: &str) -> Option<&str> {
        self.configs.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// Compares. What the broker does not tell is not judged.
    pub(super) fn check(&self, found: &Found) -> Findings {
        let mut findings = Findings::default();
        let Findings { errors, warnings } = &mut findings;
        let name = &self.name;
        if found.partitions != 1 {
            errors.push(format!(
                "topic {name} has {} partitions, it must have 1: create it anew",
                found.partitions
            ));
        }
        if found.replicas < self.replicas as usize {
            errors.push(format!(
                "topic {name} has {} replicas and {} are wanted: add replicas, or set replication: {}",
                found.replicas, self.replicas, found.replicas
            ));
        }
        for key in ["cleanup.policy", "unclean.leader.election.enable"] {
            if let (Some(wanted), Some(is)) = (self.config(key), found.configs.get(key))
                && wanted != is
            {
                errors.push(format!("topic {name} has {key}={is}: {}", self.set(key, wanted)));
            }
        }
        let number = |key| found.configs.get(key).and_then(|value| value.parse::<i64>().ok());
        let wanted = self.config("min.insync.replicas").and_then(|value| value.parse::<i64>().ok());
        if let (Some(wanted), Some(is)) = (wanted, number("min.insync.replicas")) {
            let set = self.set("min.insync.replicas", &wanted.to_string());
            if is < wanted {
                errors.push(format!("topic {name} has min.insync.replicas={is}, so that what is acknowledged can be lost with one broker: {set}"));
            } else if found.replicas > 1 && is >= i64::try_from(found.replicas).unwrap_or(i64::MAX) {
                warnings.push(format!("topic {name} has min.insync.replicas={is} of {} replicas, so that nothing can be written while one broker is down: {set}", found.replicas));
            }
        }
        if self.purpose == Purpose::Audit {
            self.check_retention(number("retention.ms"), number("retention.bytes"), warnings);
        }
        findings
    }

    fn check_retention(&self, millis: Option<i64>, bytes: Option<i64>, warnings: &mut Vec<String>) {
        let wanted = self.config("retention.ms").unwrap_or("-1");
        let least = wanted.parse::<i64>().unwrap_or(-1);
        if let Some(is) = millis
            && is >= 0
            && (least < 0 || is < least)
        {
            let set = self.set("retention.ms", wanted);
            warnings.push(format!("topic {} keeps records for {is} ms only: {set}", self.name));
        }
        if let Some(is) = bytes
            && is >= 0
        {
            let set = self.set("retention.bytes", "-1");
            warnings.push(format!("topic {} drops records above {is} bytes: {set}", self.name));
        }
    }

    fn set(&self, key: &str, value: &str) -> String {
        format!(
            "kafka-configs --alter --entity-type topics --entity-name {} --add-config {key}={value}",
            self.name
        )
    }
}

#[cfg(test)]
mod tests;
