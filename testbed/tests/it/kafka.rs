//! The real Kafka.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use testbed::Prometheus;
use testbed::kafka::load::{Acknowledged, Consumer, ConsumerOptions, Exposition, Producer, ProducerOptions};
use testbed::kafka::{Cluster, Grant, Listener, Mechanism, Operation, Options, Resource};
use testbed::wait::{self, LIMIT};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

fn topics_seen_by(properties: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    topics_seen_within(LIMIT, properties)
}

fn topics_seen_within(limit: Duration, properties: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let mut config = ClientConfig::new();
    for (key, value) in properties {
        config.set(key, value);
    }
    let consumer: BaseConsumer = config.create().map_err(|error| error.to_string())?;
    let metadata = consumer.fetch_metadata(None, limit).map_err(|error| error.to_string())?;
    Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
}

#[tokio::test]
async fn every_listener_lets_its_users_in_and_shows_them_what_they_may_see() {
    let cluster = Cluster::shared().await.unwrap();
    cluster.create_topic("alice.doors", 3, 3, &[]).await.unwrap();
    let mine = vec!["alice.doors".to_owned()];
    for listener in [Listener::SaslPlaintext, Listener::SaslSsl] {
        for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
            let seen = |user| topics_seen_by(&cluster.client_properties_by(listener, mechanism, user));
            assert_eq!(seen("alice"), Ok(mine.clone()), "{listener:?} {mechanism:?}");
            assert_eq!(seen("nobody"), Ok(Vec::new()), "{listener:?} {mechanism:?}");
        }
    }
    for listener in [Listener::Ssl, Listener::MutualSsl] {
        let seen = |user| topics_seen_by(&cluster.client_properties(listener, user));
        assert_eq!(seen("alice"), Ok(mine.clone()), "{listener:?}");
        assert_eq!(seen("nobody"), Ok(Vec::new()), "{listener:?}");
    }
    let mut stranger = cluster.client_properties(Listener::MutualSsl, "alice");
    stranger.retain(|key, _| !key.starts_with("ssl.certificate") && !key.starts_with("ssl.key"));
    // The client goes on trying until it may no longer: that is how a refusal looks.
    assert!(topics_seen_within(Duration::from_secs(2), &stranger).is_err(), "a client without a certificate");
    stranger.insert("bootstrap.servers".to_owned(), cluster.bootstrap(Listener::Ssl));
    assert!(topics_seen_by(&stranger).is_ok(), "where none is needed");
}

async fn create(cluster: &Cluster, user: &str, topic: &str) -> Result<(), String> {
    let mut config = ClientConfig::new();
    for (key, value) in cluster.client_properties(Listener::SaslPlaintext, user) {
        config.set(key, value);
    }
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(|error| error.to_string())?;
    let topics = [NewTopic::new(topic, 1, TopicReplication::Fixed(3))];
    let results =
        admin.create_topics(&topics, &AdminOptions::new()).await.map_err(|error| error.to_string())?;
    results.into_iter().try_for_each(|result| result.map(drop).map_err(|(_, code)| format!("{code:?}")))
}

#[tokio::test]
async fn users_may_do_what_they_were_granted_and_no_more() {
    let cluster = Cluster::shared().await.unwrap();
    let refused = Err("TopicAuthorizationFailed".to_owned());
    assert_eq!(create(&cluster, "bob", "bob.rights").await, Ok(()));
    assert_eq!(create(&cluster, "bob", "alice.rights").await, refused);
    for topic in ["alice.rights", "quota-enforcer.rights"] {
        assert_eq!(create(&cluster, "enforcer", topic).await, refused, "{topic}");
    }
    cluster.add_users(&["erin"]).await.unwrap();
    assert_eq!(create(&cluster, "erin", "erin.rights").await, Ok(()));
    assert_eq!(create(&cluster, "erin", "lab.rights").await, refused);
    cluster
        .grant(&[Grant::new("erin", Resource::Topics("lab.".to_owned()), &[Operation::Create])])
        .await
        .unwrap();
    assert_eq!(create(&cluster, "erin", "lab.rights").await, Ok(()));
}

#[tokio::test]
async fn deleted_topics_are_forgotten_by_every_broker() {
    let cluster = Cluster::shared().await.unwrap();
    cluster.create_topic("lab.doomed", 1, 3, &[]).await.unwrap();
    cluster.delete_topics(&["lab.doomed", "lab.unknown"]).await.unwrap();
    for broker in cluster.brokers() {
        let mut properties = cluster.client_properties(Listener::Plaintext, "alice");
        properties.insert("bootstrap.servers".to_owned(), broker.address(Listener::Plaintext).to_string());
        assert!(!topics_seen_by(&properties).unwrap().contains(&"lab.doomed".to_owned()));
    }
}

/// What the next test runs in a process of its own, to kill it.
#[tokio::test]
#[ignore = "run by a_cluster_ends_with_the_process_that_started_it"]
async fn a_cluster_for_a_process_that_is_killed() {
    let options = Options { brokers: 1, ..Options::default() };
    let cluster = Cluster::start(&options).await.unwrap();
    println!("\ncluster {} {}", cluster.brokers()[0].pid().unwrap(), cluster.folder().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_cluster_ends_with_the_process_that_started_it() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kafka::a_cluster_for_a_process_that_is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (pid, folder) = loop {
        let line = lines.next_line().await.unwrap().expect("the process goes on");
        if let ["cluster", pid, folder] = line.split(' ').collect::<Vec<_>>()[..] {
            break (format!("/proc/{pid}"), folder.to_owned());
        }
    };
    let is_there = |path: &str| std::fs::metadata(path).is_ok();
    assert!(is_there(&pid) && is_there(&folder));
    child.kill().await.unwrap();
    let gone = || async { Ok((!is_there(&pid) && !is_there(&folder)).then_some(())) };
    wait::until("broker and folder to go", LIMIT, gone).await.unwrap();
}

fn producer(cluster: &Cluster, user: &str, client_id: &str, topic: &str) -> ProducerOptions {
    ProducerOptions::new(cluster.client_properties(Listener::SaslPlaintext, user), client_id, topic)
}

/// One broker is killed, one is paused, and what was acknowledged is there: read by the one who wrote it.
#[tokio::test]
async fn what_was_acknowledged_survives_a_killed_and_a_paused_broker() {
    let cluster = Cluster::exclusive().await.unwrap();
    let topic = "alice.survives";
    cluster.create_topic(topic, 3, 3, &[]).await.unwrap();
    let leaders: Vec<i32> = cluster.partitions(topic).await.unwrap().iter().map(|part| part.leader).collect();
    assert_eq!(leaders, [1, 2, 3]);

    let producer =
        Producer::start(ProducerOptions { rate: 200_000, ..producer(&cluster, "alice", "app", topic) });
    let producer = producer.unwrap();
    let acknowledged = |more: u64| {
        let (producer, before) = (&producer, producer.totals().acknowledged);
        let grown =
            move || async move { Ok((producer.totals().acknowledged >= before + more).then_some(())) };
        wait::until("acknowledgements", LIMIT, grown)
    };
    acknowledged(100).await.unwrap();
    cluster.broker(2).unwrap().kill();
    assert!(!cluster.broker(2).unwrap().is_running());
    acknowledged(1_000).await.unwrap();
    cluster.restart(2).await.unwrap();
    producer.read();
    cluster.broker(3).unwrap().pause().unwrap();
    let noticed = || async { Ok((producer.read().longest_pause > Duration::from_secs(2)).then_some(())) };
    wait::until("a connection to feel the pause", LIMIT, noticed).await.unwrap();
    cluster.broker(3).unwrap().resume().unwrap();
    acknowledged(1_000).await.unwrap();
    cluster.balance().await.unwrap();

    let outcome = producer.stop(LIMIT).await.unwrap();
    assert_eq!(outcome.totals.failed, BTreeMap::new());
    assert_eq!(outcome.totals.outstanding(), 0);
    let properties = cluster.client_properties(Listener::SaslSsl, "alice");
    let consumer = Consumer::start(ConsumerOptions::new(properties, "reader", topic)).unwrap();
    consumer.wait_for("app", &outcome.acknowledged, LIMIT).await.unwrap();
    let invented = Acknowledged { offset: 1_000_000_000, ..outcome.acknowledged[0] };
    assert_eq!(
        consumer.missing("app", &[invented, outcome.acknowledged[0]]),
        [invented],
        "it tells what is not there"
    );
}

/// A quota set by Kafka's own tool throttles twenty connections of one client: they block and lose nothing, and the JMX
/// exporter with the shipped rules shows who it was.
#[tokio::test]
async fn a_throttled_client_blocks_and_shows_in_the_shipped_metrics() {
    let cluster = Cluster::exclusive().await.unwrap();
    let topic = "mallory.wild";
    cluster.create_topic(topic, 3, 3, &[]).await.unwrap();
    let wild = producer(&cluster, "mallory", "wild, very", topic);
    let mut wild = ProducerOptions { rate: 300_000, connections: 20, ..wild };
    wild.properties.insert("queue.buffering.max.kbytes".to_owned(), "32".to_owned());
    let wild = Producer::start(wild).unwrap();
    let calm = Producer::start(producer(&cluster, "mallory", "calm", topic)).unwrap();
    let exposition = Exposition::start(&[&wild, &calm]).await.unwrap();
    let prometheus = Prometheus::builder()
        .targets(cluster.metrics_targets())
        .targets([exposition.target("clients")])
        .start()
        .await
        .unwrap();
    let bootstrap = cluster.bootstrap(Listener::Plaintext);
    let alter = |entity: [&'static str; 4], change: [&'static str; 2]| {
        let arguments = ["--bootstrap-server", &bootstrap, "--alter"];
        let arguments: Vec<String> = arguments
            .into_iter()
            .chain(entity)
            .chain(change)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        let cluster = &cluster;
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            cluster.tool("kafka.admin.ConfigCommand", &arguments).await
        }
    };
    // Only a quota makes clients measurable: a default that throttles nobody.
    let default = ["--entity-type", "clients", "--entity-default", ""];
    alter(default, ["--add-config", "producer_byte_rate=1099511627776"]).await.unwrap();
    let series = |query: &'static str| {
        let prometheus = &prometheus;
        move || async move { prometheus.value(query).await }
    };
    let above = |query: &'static str, floor: f64| {
        let read = series(query);
        move || {
            let read = read();
            async move { Ok(read.await?.filter(|value| *value > floor)) }
        }
    };
    let wild_rate = r#"sum(kafka_server_quota_byte_rate{resource="Produce",client_id="\"wild, very\""})"#;
    wait::until("the wild client's rate", LIMIT, above(wild_rate, 150_000.0)).await.unwrap();
    let brokers = r#"count(kafka_server_quota_byte_rate{resource="Produce",client_id="calm"} > 0)"#;
    wait::until("every broker's own rate", LIMIT, above(brokers, 2.5)).await.unwrap();
    for query in [
        r#"kafka_network_requestmetrics_totaltimems{request="Produce",quantile="0.99",broker="1"}"#,
        r#"sum(kafka_server_brokertopicmetrics_bytesin_total{topic="mallory.wild"})"#,
        r#"sum(client_produce_latency_seconds_bucket{client_id="calm",user="mallory",le="30"})"#,
    ] {
        wait::until(query, LIMIT, above(query, 0.0)).await.unwrap();
    }

    let calm_before = calm.totals().acknowledged;
    wild.read();
    let entity = ["--entity-type", "clients", "--entity-name", "wild, very"];
    alter(entity, ["--add-config", "producer_byte_rate=50000"]).await.unwrap();
    let throttled = || async {
        let totals = wild.totals();
        Ok((totals.throttled > Duration::ZERO && totals.blocked > 0).then_some(()))
    };
    wait::until("a throttle that is felt", LIMIT, throttled).await.unwrap();
    let shown = r#"max(kafka_server_quota_throttle_time{resource="Produce",client_id="\"wild, very\""})"#;
    wait::until("the throttle in the metrics", LIMIT, above(shown, 0.0)).await.unwrap();
    let goes_on = || async { Ok((calm.totals().acknowledged > calm_before + 100).then_some(())) };
    wait::until("the calm client to go on", LIMIT, goes_on).await.unwrap();
    assert_eq!(calm.totals().throttled, Duration::ZERO);

    alter(entity, ["--delete-config", "producer_byte_rate"]).await.unwrap();
    alter(default, ["--delete-config", "producer_byte_rate"]).await.unwrap();
    let wild = wild.stop(LIMIT).await.unwrap();
    let calm = calm.stop(LIMIT).await.unwrap();
    for (client_id, outcome) in [("wild, very", wild), ("calm", calm)] {
        assert_eq!(
            (outcome.totals.failed.clone(), outcome.totals.outstanding()),
            (BTreeMap::new(), 0),
            "{client_id}"
        );
        let properties = cluster.client_properties(Listener::SaslPlaintext, "mallory");
        let consumer = Consumer::start(ConsumerOptions::new(properties, "reader", topic)).unwrap();
        consumer.wait_for(client_id, &outcome.acknowledged, LIMIT).await.unwrap();
    }
}
