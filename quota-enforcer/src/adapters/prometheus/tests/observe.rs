//! What is read, and what is not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daemon_kit::clock::{Clock as _, SystemClock};
use quota_enforcer_core::entity::Entity;
use quota_enforcer_core::quota::Key;
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::{Index, Requirements, Unknown};
use testbed::http::{HttpServer, Reply};
use testbed::process::free_address;
use testbed::wait;

use super::bed::{Exporter, LIMIT, adapter, observe_until, page, produce, rates, rule, server, settings};
use crate::ports::{Metrics as _, Observed};
use crate::spec::Settings;

const KEY: Key = Key::ProducerByteRate;

/// What the core makes of it.
fn known(observed: &Observed, settings: &Settings, entity: &Entity, brokers: i32) -> Result<f64, Unknown> {
    let brokers: BTreeSet<i32> = (1..=brokers).collect();
    let evidence = &settings.policy.evidence;
    let need = Requirements {
        max_age: evidence.max_age,
        coverage: evidence.coverage,
        not_before: Timestamp::default(),
    };
    let index = Index::new(&observed.usage[&KEY], &brokers, None);
    index.rates(entity, &need, Timestamp(SystemClock::new().now_ms())).map(|rates| rates.total())
}

#[tokio::test]
async fn rates_ages_and_coverage_come_in_one_reading() {
    let odd = r#"user="CN%3Da%2C%2A",client_id="\"a:\\\"b\\\"\"""#;
    let one = Exporter::start(&page(&[&produce(r#"user="alice""#, 100.0), &produce(odd, 1.5)])).await;
    let two = Exporter::start(&page(&[&produce(r#"user="alice""#, 300.0)])).await;
    let three = Exporter::start(&page(&[])).await;
    let exporters = [&one, &two, &three];
    let targets = (1..).zip(exporters).map(|(id, exporter)| exporter.target(&[("broker", &id.to_string())]));
    let server = server(targets.collect()).await;
    let settings = settings(&server.url(), "", &rule("a", "entity: user, enter: 30MB/s"));
    let adapter = adapter(&settings);
    let alice = Entity::user("alice");

    let observed = observe_until("three brokers", &adapter, &settings, |observed| {
        rates(observed).len() == 3 && known(observed, &settings, &alice, 3) == Ok(400.0)
    })
    .await;
    assert_eq!(observed.faults, Vec::<String>::new());
    let expected = [((1, "CN=a,*/a:\"b\""), 1.5), ((1, "alice/-"), 100.0), ((2, "alice/-"), 300.0)];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|((broker, client), rate)| ((broker, client.to_owned()), rate)).collect();
    assert_eq!(rates(&observed), expected);

    // The peak outlives the rate; the age is that of the scrape.
    two.show(Some(&page(&[&produce(r#"user="alice""#, 50.0)])));
    let observed = observe_until("the new rate", &adapter, &settings, |observed| {
        rates(observed).get(&(2, "alice/-".to_owned())) == Some(&50.0)
    })
    .await;
    let reading = observed.usage[&KEY].readings.iter().find(|reading| reading.broker == 2).unwrap();
    assert_eq!((reading.rate, reading.peak), (50.0, 300.0));
    assert_eq!(observed.usage[&KEY].scraped[&2].since(reading.at), Duration::ZERO);

    // NaN is handed on, and is unknown to the core.
    one.show(Some(&page(&[&produce(r#"user="alice""#, f64::NAN)])));
    observe_until("NaN", &adapter, &settings, |observed| {
        rates(observed).get(&(1, "alice/-".to_owned())).is_some_and(|rate| rate.is_nan())
            && known(observed, &settings, &alice, 3) == Err(Unknown::NotANumber { broker: 1 })
    })
    .await;

    // A series that vanished grows old while its broker is scraped on.
    one.show(Some(&page(&[&produce(r#"user="alice""#, 20.0)])));
    two.show(Some(&page(&[])));
    let observed = observe_until("the vanished series to be old", &adapter, &settings, |observed| {
        matches!(known(observed, &settings, &alice, 3), Err(Unknown::Stale { broker: 2, .. }))
    })
    .await;
    assert_eq!(observed.usage[&KEY].scraped.len(), 3);

    // A broker whose exporter cannot read the JVM, and one whose target is down: two of three.
    let broken = "jmx_scrape_error 1\n";
    three.show(Some(broken));
    observe_until("coverage to fall", &adapter, &settings, |observed| {
        known(observed, &settings, &Entity::user("alice"), 3)
            == Err(Unknown::Coverage { scraped: 2, brokers: 3 })
    })
    .await;
    three.show(None);
    let observed = observe_until("no word of the third broker", &adapter, &settings, |observed| {
        !observed.usage[&KEY].scraped.contains_key(&3)
    })
    .await;
    assert_eq!(observed.faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_renamed_target_is_the_same_broker() {
    let exporter = Exporter::start(&page(&[&produce(r#"client_id="app""#, 100.0)])).await;
    let target = |pod: &str| exporter.target(&[("pod", pod), ("cluster", "prod")]);
    let other = Exporter::start(&page(&[&produce(r#"client_id="app""#, 7.0)])).await;
    // Two targets are one broker before and after; another cluster has a broker of the same id.
    let targets = vec![
        target("kafka-4"),
        target("kafka-4.new"),
        other.target(&[("pod", "kafka-4"), ("cluster", "dev")]),
    ];
    let server = server(targets).await;
    let more = "metrics: {matchers: 'cluster=\"prod\"', broker: {label: pod, pattern: 'kafka-(\\d+)'}}";
    let settings = settings(&server.url(), more, &rule("a", "entity: client-id, enter: 30MB/s"));
    let adapter = adapter(&settings);
    let observed =
        observe_until("the broker", &adapter, &settings, |observed| !rates(observed).is_empty()).await;
    assert_eq!(rates(&observed), BTreeMap::from([((4, "-/app".to_owned()), 100.0)]));
    assert_eq!(observed.faults, Vec::<String>::new());
}

#[tokio::test]
async fn queries_burn_rates_and_baselines_are_read() {
    let lines = [
        produce(r#"user="alice""#, 100.0),
        produce(r#"user="bob""#, 10.0),
        r#"slo:current_burn_rate:ratio{sloth_id="shop.x"} 14"#.to_owned(),
        r#"slo:current_burn_rate:ratio{sloth_id="shopyx"} 99"#.to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let exporter = Exporter::start(&page(&lines)).await;
    let server = server(vec![exporter.target(&[("broker", "1")])]).await;
    let rules = [
        rule("asked", "entity: user, enter: 5, query: 'max by (user) (kafka_server_quota_byte_rate) / 2'"),
        rule(
            "broken",
            "entity: user, enter: 5, query: 'kafka_server_quota_byte_rate * on(x) (up or up offset 1s)'",
        ),
        rule(
            "many",
            "entity: user, enter: 5, query: 'label_replace(label_replace(kafka_server_quota_byte_rate, \"who\", \"$1\", \"user\", \"(.*)\"), \"user\", \"u\", \"\", \"\")'",
        ),
        rule("based", "entity: user, enter: 3x baseline, when: {slo: shop.x, burn_rate: 2}"),
    ];
    let more = "baseline: {window: 6s, step: 1s, history: 2s, refresh: 1h}";
    let settings = settings(&server.url(), more, &rules.concat());
    let adapter = adapter(&settings);
    let observed = observe_until("the queries", &adapter, &settings, |observed| {
        observed.burns.len() == 1 && observed.answers.get("asked").is_some_and(|answers| answers.len() == 2)
    })
    .await;
    assert_eq!(observed.burns, BTreeMap::from([("shop.x".to_owned(), 14.0)]));
    let answers = observed.answers["asked"].iter().map(|(entity, answer)| (entity.to_string(), answer.value));
    assert_eq!(answers.collect::<Vec<_>>(), [("user=alice".to_owned(), 50.0), ("user=bob".to_owned(), 5.0)]);
    assert!(!observed.answers.contains_key("broken"), "a query that fails is unknown");
    assert!(observed.answers["many"].is_empty(), "two values for one user are none");
    assert_eq!(observed.usage[&KEY].readings.len(), 2, "and takes nothing else with it");
    let has = |what: &str| observed.faults.iter().any(|fault| fault.contains(what));
    assert!(has("cannot read the query of rule broken: "), "{:?}", observed.faults);
    assert!(has("query of rule many: it has several series for one user"), "{:?}", observed.faults);
    assert!(has("rule based has no baselines yet"), "{:?}", observed.faults);

    let medians = wait::until("a history", LIMIT, || async {
        assert_eq!(adapter.refresh_baselines(&settings.policy).await, Vec::<String>::new());
        let observed = adapter.observe(&settings.policy, LIMIT).await;
        let medians = observed.baselines.get("based").cloned().unwrap_or_default();
        if medians.is_empty() {
            // Made, with nobody seen for long enough: only a new adapter makes them again before an hour is over.
            adapter.baselines.forget();
        }
        Ok((!medians.is_empty()).then_some(medians))
    })
    .await
    .unwrap();
    assert_eq!(medians, BTreeMap::from([(Entity::user("alice"), 100.0), (Entity::user("bob"), 10.0)]));
}

#[tokio::test]
async fn a_server_that_is_down_slow_or_partial_gives_nothing_and_says_so() {
    let rules =
        rule("a", "entity: user, enter: 30MB/s") + &rule("b", "entity: user, enter: 5, query: vector(1)");
    let down = settings(&format!("http://{}", free_address().unwrap()), "", &rules);
    let observed = adapter(&down).observe(&down.policy, LIMIT).await;
    assert_eq!(Observed { faults: Vec::new(), ..observed.clone() }, Observed::default());
    assert_eq!(observed.faults.len(), 3, "{:?}", observed.faults);
    assert!(observed.faults.iter().all(|fault| fault.contains("cannot reach http://127.0.0.1")));

    // The kernel takes the connection, and nobody ever answers.
    let slow = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let given = settings(&format!("http://{}", slow.local_addr().unwrap()), "", &rules);
    let observed = adapter(&given).observe(&given.policy, Duration::from_millis(50)).await;
    assert!(
        observed.faults.iter().all(|fault| fault.ends_with("did not answer within 50ms")),
        "{:?}",
        observed.faults
    );
    assert!(observed.usage.is_empty() && observed.answers.is_empty());

    let partial = HttpServer::start(|_| {
        let body = serde_json::json!({
            "status": "success", "warnings": ["store 2 did not answer"],
            "data": {"resultType": "matrix", "result": [{"metric": {"broker": "1", "user": "a"}, "values": [[1, "1"]]}]},
        });
        Reply::json(reqwest::StatusCode::OK, &body)
    });
    let partial = partial.await.unwrap();
    let given = settings(&format!("http://{}", partial.address()), "", &rules);
    let observed = adapter(&given).observe(&given.policy, LIMIT).await;
    assert!(observed.usage.is_empty() && observed.answers.is_empty());
    assert!(observed.faults.iter().all(|fault| fault.contains("partial: store 2")), "{:?}", observed.faults);
}
