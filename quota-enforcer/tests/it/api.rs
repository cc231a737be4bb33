//! The API over the real listener, held against `openapi.yaml`. What carries orders out is played here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daemon_kit::admin::{Options, Shown};
use daemon_kit::ready::Readiness;
use daemon_kit::shutdown::Shutdown;
use daemon_kit::tasks::Tasks;
use daemon_kit::testing::ManualClock;
use prometheus_client::registry::Registry;
use quota_enforcer::api::client::{Client, Error};
use quota_enforcer::api::order::Body;
use quota_enforcer::api::{Api, Asked, Denied, routes};
use quota_enforcer::engine::{Done, OrderError, Ordered, Tick};
use quota_enforcer::ports::{Cluster, LedgerFault};
use quota_enforcer::status::Status;
use quota_enforcer::views::Seen;
use quota_enforcer::views::explain::Explanation;
use quota_enforcer::views::history::{History, Records, Wanted};
use quota_enforcer::views::plan::Plan;
use quota_enforcer_core::audit::{Event, Head};
use quota_enforcer_core::control::{Order, Refused};
use quota_enforcer_core::decide::Observation;
use quota_enforcer_core::entity;
use quota_enforcer_core::ledger::{Change, Fact, Ledger};
use quota_enforcer_core::quota::{Key, Slot, Snapshot};
use quota_enforcer_core::step::Window;
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::{Reading, Usage};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::openapi::Document;
use crate::render;

const NOW: i64 = 1_700_000_000_000;

/// Tells what was asked, or that nothing can be read.
struct Tape(bool);

#[async_trait]
impl Records for Tape {
    async fn history(&self, wanted: &Wanted) -> Result<History, String> {
        assert!(wanted.limit > 0);
        if self.0 { Ok(render::history()) } else { Err("Kafka has not answered yet".to_owned()) }
    }
}

struct Server {
    base: String,
    folder: tempfile::TempDir,
    orders: mpsc::Receiver<Asked>,
    plans: mpsc::Receiver<Asked>,
    seen: watch::Sender<Option<Arc<Seen>>>,
    _status: watch::Sender<Arc<Status>>,
    tasks: Tasks,
}

impl Server {
    fn start(readable: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        crate::fixtures::put(folder.path(), "token", "sesame\n");
        let (status, statuses) = watch::channel(Arc::new(render::status()));
        let (seen, seens) = watch::channel(readable.then(|| Arc::new(self::seen())));
        let (asks, orders) = mpsc::channel(8);
        let (asks_plans, plans) = mpsc::channel(8);
        let api = Api {
            status: statuses,
            seen: seens,
            orders: asks,
            plans: asks_plans,
            records: Arc::new(Tape(readable)),
            clock: Arc::new(ManualClock::at_ms(NOW)),
        };
        let tasks = Tasks::new(Shutdown::new(), mpsc::unbounded_channel().0);
        let bound =
            Options { token_file: Some(folder.path().join("token")), ..Options::loopback(0) }.bind().unwrap();
        let base = format!("http://{}", bound.address());
        let shown =
            Shown { readiness: Readiness::new(), registry: Arc::new(Registry::default()), reload: None };
        bound.spawn(shown, routes(&api), &tasks).unwrap();
        Self { base, folder, orders, plans, seen, _status: status, tasks }
    }

    fn client(&self) -> Client {
        Client::new(&self.base).unwrap().with_token(&self.folder.path().join("token")).unwrap()
    }

    /// Answers the next question as the engine's task would.
    async fn play(&mut self, result: Result<Ordered, Denied>) -> (Order, String, String) {
        match tokio::time::timeout(testbed::wait::LIMIT, self.orders.recv()).await.unwrap().unwrap() {
            Asked::Order { order, by, reason, answer } => {
                answer.send(result).unwrap();
                (order, by, reason)
            }
            Asked::Plan { .. } => panic!("an order was expected"),
        }
    }
}

/// A tick in which `user=wild` is over everything.
fn seen() -> Seen {
    let key = Key::ProducerByteRate;
    let slot = |entity: &str| Slot { entity: entity.parse().unwrap(), key };
    let reading = |broker, rate| Reading {
        broker,
        client: entity::Client { user: Some("wild".to_owned()), client_id: None },
        rate,
        peak: rate,
        at: Timestamp(NOW - 2_000),
    };
    let brokers = [1, 2, 3];
    let usage = Usage {
        readings: vec![reading(1, 5e6), reading(2, f64::NAN)],
        scraped: brokers.into_iter().map(|broker| (broker, Timestamp(NOW - 2_000))).collect(),
    };
    let snapshot: Snapshot = [(slot("user=wild"), 5e6), (slot("user=<default>"), 1e12)].into_iter().collect();
    let observation = Observation {
        usage: BTreeMap::from([(key, usage)]),
        snapshot: Some(snapshot),
        brokers: brokers
            .into_iter()
            .map(|broker| (broker, Window::new(11, Duration::from_secs(1))))
            .collect(),
        ..Observation::default()
    };
    let status = render::status();
    let mut ledger = Ledger::default();
    ledger.apply(Change::Put(Fact::Hold(render::hold("user=wild"))));
    ledger.apply(Change::Put(Fact::Exemption(status.exemptions[0].clone())));
    ledger.apply(Change::Put(Fact::Head(Head { seq: 9, hash: "f".repeat(64) })));
    let tick = Tick {
        at: Timestamp(NOW),
        cluster: Cluster { id: "lkc-1".to_owned(), ..Cluster::default() },
        observation,
        ..Tick::default()
    };
    Seen { tick, ledger, policy: crate::fixtures::settings().policy }
}

fn ordered() -> Ordered {
    let slot = Slot { entity: "user=wild".parse().unwrap(), key: Key::ProducerByteRate };
    let done = Done { slot, to: None, event: Event::Released, why: "gone".to_owned() };
    Ordered { said: vec!["released".to_owned()], done: vec![done], faults: Vec::new() }
}

#[test]
fn the_file_and_the_server_have_the_same_routes() {
    let server = Api {
        status: watch::channel(Arc::default()).1,
        seen: watch::channel(None).1,
        orders: mpsc::channel(1).0,
        plans: mpsc::channel(1).0,
        records: Arc::new(Tape(true)),
        clock: Arc::new(ManualClock::at_ms(0)),
    };
    let mut routes: Vec<String> =
        routes(&server).list().map(|(method, path)| format!("{method} {path}")).collect();
    routes.sort();
    assert_eq!(routes, Document::read().operations());
}

/// Asks and checks the answer against the file.
async fn ask(server: &Server, document: &Document, path: &str, query: &str) -> (StatusCode, Value) {
    let response = reqwest::get(format!("{}{path}{query}", server.base)).await.unwrap();
    checked(document, "get", path, response).await
}

async fn checked(
    document: &Document,
    method: &str,
    path: &str,
    response: reqwest::Response,
) -> (StatusCode, Value) {
    let status = response.status();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let body = response.bytes().await.unwrap();
    if let Err(difference) = document.check(method, path, status.as_u16(), &kind, &body) {
        panic!("{method} {path}: {status}: {difference}\n{}", String::from_utf8_lossy(&body));
    }
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn answers_are_what_the_file_says() {
    let document = Document::read();
    let mut server = Server::start(true);
    for (path, query) in [
        ("/api/v1/status", ""),
        ("/api/v1/holds", ""),
        ("/api/v1/verdicts", ""),
        ("/api/v1/entities", "?entity=user%3Dwild"),
        ("/api/v1/entities", "?entity=client-id%3D%3Cdefault%3E"),
        ("/api/v1/audit/head", ""),
        ("/api/v1/history", ""),
        ("/api/v1/history", "?entity=user%3Dwild&limit=5"),
    ] {
        let (status, _) = ask(&server, &document, path, query).await;
        assert_eq!(status, StatusCode::OK, "{path}{query}");
    }
    let asked = reqwest::get(format!("{}/api/v1/plan", server.base));
    let played = async {
        match server.plans.recv().await.unwrap() {
            Asked::Plan { answer } => answer.send(render::plan()).unwrap(),
            Asked::Order { .. } => panic!("a plan was expected"),
        }
    };
    let (response, ()) = tokio::join!(asked, played);
    let (_, plan) = checked(&document, "get", "/api/v1/plan", response.unwrap()).await;
    assert_eq!(serde_json::from_value::<Plan>(plan).unwrap(), render::plan());
}

#[tokio::test]
async fn questions_that_make_no_sense_or_come_too_early_are_answered_as_the_file_says() {
    let document = Document::read();
    let mut server = Server::start(false);
    for (path, query, wanted) in [
        ("/api/v1/entities", "", StatusCode::BAD_REQUEST),
        ("/api/v1/entities", "?entity=alice", StatusCode::BAD_REQUEST),
        ("/api/v1/entities", "?entity=user%3Dwild", StatusCode::SERVICE_UNAVAILABLE),
        ("/api/v1/audit/head", "", StatusCode::SERVICE_UNAVAILABLE),
        ("/api/v1/history", "?limit=0", StatusCode::BAD_REQUEST),
        ("/api/v1/history", "?entity=x", StatusCode::BAD_REQUEST),
        ("/api/v1/history", "", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        assert_eq!(ask(&server, &document, path, query).await.0, wanted, "{path}{query}");
    }
    server.plans.close();
    assert_eq!(ask(&server, &document, "/api/v1/plan", "").await.0, StatusCode::SERVICE_UNAVAILABLE);
    server.seen.send_replace(Some(Arc::new(seen())));
    assert_eq!(ask(&server, &document, "/api/v1/audit/head", "").await.1["seq"], 9);
    server.tasks.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn an_explanation_tells_what_binds_and_what_is_unknown() {
    let server = Server::start(true);
    let explanation: Explanation = server.client().get("entities", &[("entity", "user=wild")]).await.unwrap();
    let of = &explanation.keys[0];
    assert_eq!(of.key, Key::ProducerByteRate);
    assert_eq!(of.binds.as_ref().map(|bound| bound.value), Some(5e6));
    assert_eq!(
        of.shadowed.iter().map(|bound| bound.entity.to_string()).collect::<Vec<_>>(),
        ["user=<default>"]
    );
    assert_eq!(of.unknown.as_deref(), Some("a reading of broker 2 is no number"));
    assert_eq!((of.usage[0].rate, of.usage[1].rate), (Some(5e6), None));
    assert_eq!(of.hold.as_ref().map(|hold| hold.rule.as_str()), Some("greedy"));
    assert_eq!(of.rules.iter().map(|rule| rule.info.rule.as_str()).collect::<Vec<_>>(), ["greedy"]);
    assert!(of.write.as_ref().is_some_and(|write| write.hazards.is_empty()), "{:?}", of.write);
    assert!(explanation.keys[1].unknown.is_some() && explanation.keys[1].binds.is_none());
}

/// Bodies and what they order.
fn good() -> Vec<(&'static str, Value, Order)> {
    let wild = || "user=wild".parse().unwrap();
    let until = Timestamp(NOW) + Duration::from_secs(7_200);
    vec![
        (
            "release",
            json!({ "by": "ops", "entity": "user=wild" }),
            Order::Release { entity: wild(), key: None },
        ),
        (
            "release",
            json!({ "by": "ops", "reason": "r", "entity": "user=wild", "key": "producer_byte_rate" }),
            Order::Release { entity: wild(), key: Some(Key::ProducerByteRate) },
        ),
        ("release", json!({ "by": "ops", "reason": "r", "all": true }), Order::ReleaseAll),
        (
            "exempt",
            json!({ "by": "ops", "reason": "r", "entity": "user=wild", "for_seconds": 7_200 }),
            Order::Exempt { entity: wild(), until },
        ),
        ("unexempt", json!({ "by": "ops", "entity": "user=wild" }), Order::EndExemption { entity: wild() }),
        ("pause", json!({ "by": "ops", "reason": "r" }), Order::Pause),
        ("resume", json!({ "by": "ops" }), Order::Resume),
        ("reap", json!({ "by": "cron" }), Order::Reap),
    ]
}

#[tokio::test]
async fn orders_reach_the_engine_and_its_answer_comes_back() {
    let document = Document::read();
    let mut server = Server::start(true);
    for (name, body, wanted) in good() {
        let path = format!("/api/v1/{name}");
        document.matches(document.request(&path), &body, name).unwrap();
        let request =
            reqwest::Client::new().post(format!("{}{path}", server.base)).bearer_auth("sesame").json(&body);
        let (response, (order, by, reason)) = tokio::join!(request.send(), server.play(Ok(ordered())));
        assert_eq!(order, wanted);
        assert_eq!(
            (json!(by), reason),
            (body["by"].clone(), body["reason"].as_str().unwrap_or_default().to_owned())
        );
        let (status, answer) = checked(&document, "post", &path, response.unwrap()).await;
        assert_eq!((status, serde_json::from_value::<Ordered>(answer).unwrap()), (StatusCode::OK, ordered()));
    }
}

#[tokio::test]
async fn orders_without_token_or_sense_reach_nobody() {
    let document = Document::read();
    let mut server = Server::start(true);
    let http = reqwest::Client::new();
    for (name, body, _) in good() {
        let path = format!("/api/v1/{name}");
        for token in ["", "open"] {
            let request = http.post(format!("{}{path}", server.base)).bearer_auth(token).json(&body);
            let (status, _) = checked(&document, "post", &path, request.send().await.unwrap()).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
    }
    for (name, body) in [
        ("release", json!({ "by": "ops" })),
        ("release", json!({ "by": "ops", "all": true })),
        ("release", json!({ "by": "ops", "reason": "r", "all": true, "entity": "user=a" })),
        ("release", json!({ "by": "ops", "entity": "alice" })),
        ("release", json!({ "by": "ops", "entity": "user=a", "key": "speed" })),
        ("release", json!({ "entity": "user=a" })),
        ("exempt", json!({ "by": "ops", "entity": "user=a", "for_seconds": 1 })),
        ("exempt", json!({ "by": "ops", "reason": "r", "entity": "user=a" })),
        ("unexempt", json!({ "by": "ops" })),
        ("pause", json!({ "by": "ops" })),
        ("pause", json!({ "by": " ", "reason": "r" })),
        ("resume", json!({})),
        ("reap", json!([])),
        ("reap", json!({ "by": "ops", "force": true })),
    ] {
        let path = format!("/api/v1/{name}");
        let request = http.post(format!("{}{path}", server.base)).bearer_auth("sesame").json(&body);
        let (status, answer) = checked(&document, "post", &path, request.send().await.unwrap()).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!("bad-request")),
            "{path} {body}"
        );
    }
    assert!(server.orders.try_recv().is_err());
}

#[tokio::test]
async fn whoever_cannot_act_says_why() {
    let document = Document::read();
    let mut server = Server::start(true);
    let leader = render::status().leader;
    let not_leader = |leader| Denied::NotLeader { why: "node-b leads".to_owned(), leader };
    for (denied, status, error) in [
        (not_leader(leader.clone()), StatusCode::CONFLICT, "not-leader"),
        (not_leader(None), StatusCode::CONFLICT, "not-leader"),
        (Denied::Order(OrderError::Refused(Refused::NotPaused)), StatusCode::CONFLICT, "refused"),
        (
            Denied::Order(OrderError::Ledger(LedgerFault::Fenced)),
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
        ),
        (Denied::Ending, StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    ] {
        let request = reqwest::Client::new()
            .post(format!("{}/api/v1/resume", server.base))
            .bearer_auth("sesame")
            .json(&json!({ "by": "ops" }));
        let (response, _) = tokio::join!(request.send(), server.play(Err(denied)));
        let (answered, problem) = checked(&document, "post", "/api/v1/resume", response.unwrap()).await;
        assert_eq!((answered, problem["error"].as_str()), (status, Some(error)));
    }
}

#[tokio::test]
async fn a_client_follows_to_the_leader_once() {
    let (mut standby, mut leader) = (Server::start(true), Server::start(true));
    let fact = |api: &str| {
        let leader = render::status().leader.unwrap();
        Denied::NotLeader {
            why: "node-b leads".to_owned(),
            leader: Some(quota_enforcer_core::ledger::Leader { api: Some(api.to_owned()), ..leader }),
        }
    };
    let body = Body { by: "ops".to_owned(), ..Body::default() };
    let client = standby.client();
    let leads = fact(&leader.base);
    let (ordered_there, ..) =
        tokio::join!(client.order("resume", &body), standby.play(Err(leads)), leader.play(Ok(ordered())));
    assert_eq!(ordered_there.unwrap(), ordered());

    // Two that point at each other are not followed for ever.
    let (there, back) = (fact(&leader.base), fact(&standby.base));
    let (lost, ..) =
        tokio::join!(client.order("resume", &body), standby.play(Err(there)), leader.play(Err(back)));
    assert!(matches!(lost.unwrap_err(), Error::Problem(problem) if problem.error == "not-leader"));
}
