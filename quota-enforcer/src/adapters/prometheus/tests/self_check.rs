//! What is said at the start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use daemon_kit::clock::{Clock, SystemClock};
use testbed::process::free_address;
use testbed::wait;

use super::super::Prometheus;
use super::bed::{Exporter, LIMIT, adapter, page, produce, rule, server, settings};
use crate::spec::Settings;

fn brokers(ids: std::ops::RangeInclusive<i32>) -> BTreeSet<i32> {
    ids.collect()
}

/// The messages, once there are that many.
async fn messages(
    settings: &Settings,
    ids: std::ops::RangeInclusive<i32>,
    seen: impl Fn(&[String]) -> bool,
) -> Vec<String> {
    let adapter = adapter(settings);
    wait::until("the messages", LIMIT, || async {
        let messages = adapter.self_check(&settings.policy, &brokers(ids.clone()), LIMIT).await;
        Ok(seen(&messages).then_some(messages))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn nothing_is_said_when_all_is_well_and_each_thing_when_it_is_not() {
    let exporter = Exporter::start(&page(&[&produce(r#"client_id="app""#, 1.0)])).await;
    let server = server(vec![exporter.target(&[("broker", "1"), ("pod", "kafka-one")])]).await;
    let by_client = rule("a", "entity: client-id, enter: 30MB/s");
    let of = |more: &str, rules: &str| settings(&server.url(), more, rules);
    messages(&of("", &by_client), 1..=1, <[String]>::is_empty).await;

    // Brokers that are not scraped, of another cluster, or under an unknown name.
    let said = messages(&of("", &by_client), 1..=3, |said| said.len() == 1).await;
    assert_eq!(said, ["brokers of the cluster that jmx_scrape_error does not show scraped: 2, 3"]);
    let said = messages(&of("", &by_client), 2..=2, |said| said.len() == 2).await;
    assert!(said[1].starts_with("broker ids in the metrics that the cluster does not have: 1"), "{said:?}");
    let said =
        messages(&of("metrics: {broker: {label: pod}}", &by_client), 1..=1, |said| said.len() >= 2).await;
    assert!(
        said[0].starts_with("no broker is known to have been scraped: 1 series are of no known broker"),
        "{said:?}"
    );
    assert!(said[1].starts_with("values of label pod that name no broker id: kafka-one;"), "{said:?}");

    // A level that brokers do not measure at; labels that are not there.
    let said =
        messages(&of("", &rule("b", "entity: user, enter: 30MB/s")), 1..=1, |said| said.len() == 1).await;
    assert!(
        said[0].starts_with("producer_byte_rate: no series names a user, which rules need (b)"),
        "{said:?}"
    );
    let other = "metrics: {profile: jmx-exporter-kafka-2_0_0}";
    let said = messages(&of(other, &by_client), 1..=1, |said| said.len() == 2).await;
    assert!(said[0].ends_with("1 series carry neither label user nor clientId"), "{said:?}");
    assert!(said[1].contains("labels of the series are broker, client_id, instance, job, pod"), "{said:?}");

    // Another profile, another exporter.
    let said = messages(
        &of("metrics: {profile: confluent-jmx, scraped: nothing == 1}", &by_client),
        1..=1,
        |said| said.len() == 3,
    )
    .await;
    assert!(
        said[0].starts_with("no series matches nothing, which tells whether brokers were scraped"),
        "{said:?}"
    );
    assert_eq!(
        said[1],
        "no series matches profile confluent-jmx: kafka_server_produce_byte_rate (for producer_byte_rate)"
    );
    assert_eq!(
        said[2],
        "metrics with names like it: kafka_server_quota_byte_rate; metrics.profile may be another"
    );
    exporter.show(Some(&page(&["kafka_server_produce_user_alice_client_id_app_byte_rate 1"])));
    let said =
        messages(&of("", &by_client), 1..=1, |said| said.len() == 2 && said[1].contains("_user_alice")).await;
    assert!(
        said[1].starts_with("the exporter's rules write users and client ids into the names"),
        "{said:?}"
    );
}

#[derive(Debug)]
struct Shifted(SystemClock, i64);

impl Clock for Shifted {
    fn now_ms(&self) -> i64 {
        self.0.now_ms() + self.1
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

#[tokio::test]
async fn a_server_that_is_down_empty_or_of_another_time_is_told() {
    let down = settings(
        &format!("http://{}", free_address().unwrap()),
        "",
        &rule("a", "entity: user, enter: 30MB/s"),
    );
    let said = adapter(&down).self_check(&down.policy, &brokers(1..=1), LIMIT).await;
    assert!(said.len() == 1 && said[0].starts_with("Prometheus cannot be asked: cannot reach"), "{said:?}");

    let server = server(Vec::new()).await;
    let settings = settings(&server.url(), "", &rule("a", "entity: user, enter: 30MB/s"));
    let said = adapter(&settings).self_check(&settings.policy, &brokers(1..=1), LIMIT).await;
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[2].starts_with("no metric has a name like it: either brokers keep no sensors"), "{said:?}");
    for (shift, words) in [(10_000, "s behind this one"), (-10_000, "s ahead of this one")] {
        let adapter = Prometheus::new(&settings, Arc::new(Shifted(SystemClock::new(), shift))).unwrap();
        let said = adapter.self_check(&settings.policy, &brokers(1..=1), LIMIT).await;
        assert!(said[0].starts_with("the clock of Prometheus is ") && said[0].contains(words), "{said:?}");
    }
}
