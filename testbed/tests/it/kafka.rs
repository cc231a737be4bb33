//! The real Kafka.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use testbed::kafka::{Cluster, Listener, Mechanism};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(10);

fn topics_seen_by(properties: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let mut config = ClientConfig::new();
    for (key, value) in properties {
        config.set(key, value);
    }
    let consumer: BaseConsumer = config.create().map_err(|error| error.to_string())?;
    let metadata = consumer.fetch_metadata(None, LIMIT).map_err(|error| error.to_string())?;
    Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
}

#[tokio::test]
async fn every_listener_lets_its_users_in_and_shows_them_what_they_may_see() {
    let begin = Instant::now();
    let cluster = Cluster::shared().await.unwrap();
    println!("started after {:?}", begin.elapsed());
    cluster.create_topic("alice.doors", 3, 3, &[]).await.unwrap();
    println!("topic after {:?}", begin.elapsed());
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
    println!("all after {:?}", begin.elapsed());
}
