//! librdkafka's clients, from the configuration of the cluster. What is set here wins over it, one thing excepted.

use std::time::Duration;

use rdkafka::ClientConfig;

use super::{IDENTITY, Place};

/// What the cluster's configuration says.
pub(super) fn base(place: &Place) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in place.config.properties() {
        config.set(name, value);
    }
    config
}

/// Of a consumer, which belongs to the group in name: librdkafka wants one for assigned partitions too.
fn consumer(place: &Place) -> ClientConfig {
    let mut config = base(place);
    config
        .set("group.id", IDENTITY)
        .set("group.protocol", "classic")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("allow.auto.create.topics", "false");
    config
}

/// Of a consumer that reads a topic to its end, and gives up rather than skip anything.
pub(super) fn reader(place: &Place) -> ClientConfig {
    let mut config = consumer(place);
    config
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        // Bounds what is read ahead.
        .set("queued.min.messages", "1000")
        .set("queued.max.messages.kbytes", "4096")
        .set("fetch.wait.max.ms", "100");
    config
}

/// Of a member of the group. How long it may be silent can be set by whoever allows less, or more, in the brokers.
pub(super) fn member(place: &Place) -> ClientConfig {
    let mut config = consumer(place);
    let set = config.get("session.timeout.ms").and_then(|text| text.parse().ok());
    let session = set.map_or(place.settings.session, Duration::from_millis);
    config
        .set("session.timeout.ms", millis(session))
        .set("heartbeat.interval.ms", millis(session / 6))
        // With the eager protocol every newcomer would take the ledger away from its leader for a moment.
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("auto.offset.reset", "latest")
        .set("max.poll.interval.ms", millis(session.max(Duration::from_secs(60))));
    config
}

/// Of the writer.
pub(super) fn writer(place: &Place) -> ClientConfig {
    let timeout = place.settings.timeout;
    let mut config = base(place);
    config
        .set("transactional.id", IDENTITY)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("message.timeout.ms", millis(timeout))
        .set("socket.timeout.ms", millis(timeout))
        // What a dead leader left open holds back every reader until then.
        .set("transaction.timeout.ms", millis((timeout * 2).max(Duration::from_secs(1))))
        .set("retry.backoff.ms", "50")
        .set("retry.backoff.max.ms", "500")
        .set("reconnect.backoff.max.ms", "1000");
    config
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
