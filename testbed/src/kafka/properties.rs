//! `server.properties` of one broker.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::certificates::Authority;
use super::options::{ADMIN, Listener, Options, password};
use super::ports::Ports;

/// The file's text. `all` are the ports of every node, in the order of their ids.
pub(crate) fn server(
    options: &Options,
    id: usize,
    all: &[Ports],
    ports: &Ports,
    data: &Path,
    authority: &Authority,
) -> String {
    let mut lines = BTreeMap::new();
    let mut set = |key: &str, value: String| lines.insert(key.to_owned(), value);

    set("process.roles", "broker,controller".to_owned());
    set("node.id", id.to_string());
    set("log.dirs", data.display().to_string());
    let voter = |(index, ports): (usize, &Ports)| format!("{}@127.0.0.1:{}", index + 1, ports.controller);
    set("controller.quorum.voters", joined(all.iter().enumerate().map(voter)));

    let address = |listener: Listener| format!("{}://{}", listener.name(), ports.of(listener));
    let controller = format!("CONTROLLER://127.0.0.1:{}", ports.controller);
    set("listeners", joined(Listener::ALL.map(address).into_iter().chain([controller])));
    let protocol = |listener: Listener| format!("{}:{}", listener.name(), listener.protocol());
    let protocols = Listener::ALL.map(protocol).into_iter().chain(["CONTROLLER:PLAINTEXT".to_owned()]);
    set("listener.security.protocol.map", joined(protocols));
    set("controller.listener.names", "CONTROLLER".to_owned());
    set("inter.broker.listener.name", Listener::Plaintext.name().to_owned());

    set("sasl.enabled.mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN".to_owned());
    for listener in Listener::ALL {
        let prefix = format!("listener.name.{}", listener.name().to_lowercase());
        if listener.is_sasl() {
            let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
            set(&format!("{prefix}.scram-sha-256.sasl.jaas.config"), scram.to_owned());
            set(&format!("{prefix}.scram-sha-512.sasl.jaas.config"), scram.to_owned());
            set(&format!("{prefix}.plain.sasl.jaas.config"), plain(options));
        }
        if listener.is_tls() {
            set(&format!("{prefix}.ssl.keystore.type"), "PEM".to_owned());
            set(&format!("{prefix}.ssl.keystore.location"), authority.broker().display().to_string());
            set(&format!("{prefix}.ssl.truststore.type"), "PEM".to_owned());
            set(&format!("{prefix}.ssl.truststore.location"), authority.root().display().to_string());
            let certificates = match listener {
                Listener::MutualSsl => "required",
                Listener::Ssl => "requested",
                _ => "none",
            };
            set(&format!("{prefix}.ssl.client.auth"), certificates.to_owned());
        }
    }
    // A certificate's user is its common name.
    set("ssl.principal.mapping.rules", "RULE:^CN=([^,]+)$/$1/".to_owned());
    set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned());
    set("super.users", format!("User:ANONYMOUS;User:{ADMIN}"));

    set("quota.window.num", options.quota_windows.to_string());
    set("quota.window.size.seconds", options.quota_window.as_secs().to_string());
    set("auto.create.topics.enable", "false".to_owned());
    // Leaders move when a test says so.
    set("auto.leader.rebalance.enable", "false".to_owned());
    set("controlled.shutdown.max.retries", "1".to_owned());

    // A broker may die, and nothing that was acknowledged may be lost.
    let replicas = all.len().min(3);
    let in_sync = replicas.saturating_sub(1).max(1);
    set("default.replication.factor", replicas.to_string());
    set("min.insync.replicas", in_sync.to_string());
    for topic in ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"] {
        set(&format!("{topic}.replication.factor"), replicas.to_string());
        // Fifty partitions of each would take longer than most tests.
        set(&format!("{topic}.num.partitions"), "3".to_owned());
    }
    set("transaction.state.log.min.isr", in_sync.to_string());
    set("share.coordinator.state.topic.min.isr", in_sync.to_string());
    set("group.initial.rebalance.delay.ms", "0".to_owned());
    set("num.network.threads", "2".to_owned());
    set("num.io.threads", "4".to_owned());
    set("log.cleaner.dedupe.buffer.size", "8388608".to_owned());

    for (key, value) in &options.properties {
        set(key, value.clone());
    }
    let mut text = String::new();
    for (key, value) in lines {
        // Writing to a string does not fail.
        writeln!(text, "{key}={value}").ok();
    }
    text
}

fn plain(options: &Options) -> String {
    let mut text = "org.apache.kafka.common.security.plain.PlainLoginModule required".to_owned();
    for user in options.all_users() {
        write!(text, " user_{user}=\"{}\"", password(user)).ok();
    }
    text + ";"
}

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(",")
}
