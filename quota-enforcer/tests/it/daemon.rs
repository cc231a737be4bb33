//! The daemon as a process, and the commands beside it, on a real cluster with a real Prometheus. The rules only observe:
//! whatever is asked here, no quota changes.

use std::path::Path;
use std::time::Duration;

use quota_enforcer::adapters::quotas::Quotas;
use quota_enforcer::ports::Quotas as _;
use quota_enforcer_core::audit::digest;
use quota_enforcer_core::entity::Entity;
use quota_enforcer_core::quota::{Key, Slot, Snapshot};
use serde_json::Value;
use testbed::kafka::load::{Producer, ProducerOptions};
use testbed::kafka::{Cluster, ENFORCER, Listener};
use testbed::quota::Enforcer;
use testbed::wait::{self, LIMIT};
use testbed::{Prometheus, Target};

use crate::ledger::world::world;

const TOPIC: &str = "alice.daemon";

fn config(cluster: &Cluster, enforcer: &Enforcer, prometheus: &str, rules: &str) -> String {
    let kafka: String = cluster
        .client_properties(Listener::SaslPlaintext, ENFORCER)
        .iter()
        .filter(|(key, _)| *key != "sasl.password")
        .map(|(key, value)| format!("  {key}: {value:?}\n"))
        .collect();
    let password = enforcer.folder().join("password");
    format!(
        "kafka:\n{kafka}  sasl.password.file: {}\n\
         prometheus:\n  url: {prometheus}\n  timeout: 5s\n\
         evidence: {{scrape_interval: 1s, max_age: 30s}}\n\
         ledger:\n  topic: quota-enforcer-daemon-ledger\n  audit_topic: quota-enforcer-daemon-audit\n  lease: 60s\n\
         admin: {{listen: \"{}\", token_file: {}}}\n\
         tick: 500ms\n\
         rules:\n{rules}",
        password.display(),
        enforcer.address(),
        enforcer.token().display(),
    )
}

const RULES: &str = "  \
  - {name: loud, owner: platform, select: {users: ['*']}, entity: user, measure: produce, enter: 50kB/s, release: 20kB/s, confirm: 2 of 3, limit: 20MB/s}
  - {name: hungry, select: {users: ['*']}, entity: user, measure: consume, enter: 50MB/s, limit: 20MB/s}
";

/// A command that has to succeed.
fn run(enforcer: &Enforcer, arguments: &[&str]) -> String {
    let (code, out, err) = enforcer.command(arguments).unwrap();
    assert_eq!(code, Some(0), "{arguments:?}\n{out}{err}\n{}", enforcer.log_tail(20));
    out
}

/// A command that shows all of these, as soon as there is fresh evidence.
async fn shows(enforcer: &Enforcer, arguments: &[&str], parts: &[&str]) {
    let shown = wait::until("a command to show what is there", LIMIT, || async {
        let (code, out, err) = enforcer.command(arguments)?;
        let missing = parts.iter().find(|part| !out.contains(**part));
        anyhow::ensure!(code == Some(0) && missing.is_none(), "{missing:?} in {arguments:?}: {out}{err}");
        Ok(Some(()))
    });
    shown.await.unwrap();
}

/// A command that has to fail, with this in its message.
fn fails(enforcer: &Enforcer, arguments: &[&str], message: &str) {
    let (code, out, err) = enforcer.command(arguments).unwrap();
    assert!(code == Some(1) && err.contains(message), "{arguments:?}\n{out}{err}");
}

fn json(enforcer: &Enforcer, arguments: &[&str]) -> Value {
    let out = run(enforcer, &[arguments, &["--output", "json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{out}"))
}

/// Waits for a status that is as it should be.
async fn status(enforcer: &Enforcer, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let found = wait::until(what, LIMIT, || async {
        let status = enforcer.status().await?;
        Ok(is(&status).then_some(status))
    });
    match found.await {
        Ok(status) => status,
        Err(error) => panic!("{error:#}\n{:#}\n{}", enforcer.status().await.unwrap(), enforcer.log_tail(30)),
    }
}

fn observed(status: &Value) -> bool {
    let verdicts = status["verdicts"].as_array().unwrap();
    verdicts
        .iter()
        .any(|verdict| verdict["entity"] == "user=alice" && verdict["state"]["state"] == "observed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_observes_answers_and_obeys() {
    let world = world("daemon").await;
    let quotas = Quotas::new(world.place.admin.clone());
    let slot = Slot { entity: Entity::user("alice"), key: Key::ProducerByteRate };
    // A person's quota, which gives users series.
    quotas.alter(&[(slot.clone(), Some(1e8))], false).await.unwrap().remove(0).unwrap();
    world.cluster.create_topic(TOPIC, 3, 3, &[]).await.unwrap();
    let properties = world.cluster.client_properties(Listener::SaslPlaintext, "alice");
    let producer =
        Producer::start(ProducerOptions { rate: 400_000, ..ProducerOptions::new(properties, "app", TOPIC) })
            .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut enforcer =
        Enforcer::new(Path::new(env!("CARGO_BIN_EXE_quota-enforcer")), folder.path().join("enforcer"))
            .unwrap();
    let own = Target { job: "enforcer".to_owned(), address: enforcer.address(), labels: [].into() };
    let prometheus = Prometheus::builder()
        .scrape_interval(Duration::from_secs(1))
        .targets(world.cluster.metrics_targets())
        .targets([own])
        .start()
        .await
        .unwrap();
    crate::fixtures::put(enforcer.folder(), "password", &testbed::kafka::password(ENFORCER));
    let good = config(&world.cluster, &enforcer, &prometheus.url(), RULES);
    enforcer.configure(&good).unwrap();
    assert!(run(&enforcer, &["check"]).contains("2 rules"));
    let before = quotas.snapshot().await.unwrap();

    enforcer.start().await.unwrap();
    let leads = status(&enforcer, "a leader that has seen alice", |status| {
        status["role"] == "leader" && observed(status)
    })
    .await;
    assert_eq!(
        (&leads["epoch"], &leads["brokers"], &leads["cluster"]),
        (&1.into(), &3.into(), &world.cluster.id().into())
    );
    looks(&enforcer).await;
    scraped(&prometheus).await;
    orders(&enforcer).await;
    reloads(&enforcer, &good).await;
    proves(&enforcer);

    enforcer.stop();
    assert!(enforcer.log().contains("draining") && !enforcer.log().contains("stopped"), "{}", enforcer.log());
    alone(&enforcer).await;
    assert_eq!(quotas.snapshot().await.unwrap(), before, "observing writes nothing");
    drop(producer);
    quotas.alter(&[(slot, None)], false).await.unwrap().remove(0).unwrap();
    gone(&quotas).await;
}

/// Commands that only look.
async fn looks(enforcer: &Enforcer) {
    shows(enforcer, &["status"], &["leader, epoch 1", "user=alice"]).await;
    assert_eq!(json(enforcer, &["status"])["role"], "leader");

    shows(enforcer, &["plan"], &["no quota would change", "user=alice"]).await;
    assert_eq!(json(enforcer, &["plan"])["confirmed"], true);

    let parts = [
        "binds     100.00 MB/s of user=alice",
        "broker 1:",
        "loud (observe, of platform): observed",
        "that is not ours stands there",
    ];
    shows(enforcer, &["explain", "user=alice"], &parts).await;
    let explained = json(enforcer, &["explain", "user=alice,client-id=app"]);
    assert_eq!(explained["keys"][0]["binds"]["value"], 1e8);
    let text = run(enforcer, &["history"]);
    assert!(text.contains("leader"), "{text}");
    let from_api = format!("http://{}", enforcer.address());
    assert!(run(enforcer, &["status", "--api", &from_api]).contains("user=alice"));
}

/// Prometheus itself reads what the daemon exposes.
async fn scraped(prometheus: &Prometheus) {
    for (query, wanted) in [
        ("up{job='enforcer'}", 1.0),
        ("quota_enforcer_leader", 1.0),
        ("ready", 1.0),
        ("quota_enforcer_verdicts{rule='loud',state='observed'}", 1.0),
        ("count(quota_enforcer_confirmed{entity='user=alice'})", 1.0),
        ("quota_enforcer_ticks_total > bool 0", 1.0),
    ] {
        wait::until(query, LIMIT, || async {
            Ok((prometheus.value(query).await? == Some(wanted)).then_some(()))
        })
        .await
        .unwrap();
    }
}

async fn orders(enforcer: &Enforcer) {
    let by = ["--by", "tester"];
    let order = |arguments: &[&str]| run(enforcer, &[arguments, &by].concat());
    let refused = |arguments: &[&str], message: &str| fails(enforcer, &[arguments, &by].concat(), message);
    assert!(order(&["pause", "--reason", "a test"]).starts_with("paused"));
    refused(&["pause", "--reason", "again"], "paused already, by tester");
    assert!(run(enforcer, &["status"]).contains("by tester: a test"));
    assert_eq!(order(&["resume"]), "resumed\n");
    refused(&["resume"], "not paused");

    assert!(order(&["exempt", "user=alice", "--for", "2h", "--reason", "backfill"]).contains("is exempted"));
    let spared =
        |verdict: &Value| verdict["why"].as_str().unwrap().contains("would not throttle it: exempted until");
    let exempted = |status: &Value| status["verdicts"].as_array().unwrap().iter().any(spared);
    status(enforcer, "the exemption to count", exempted).await;
    assert!(run(enforcer, &["explain", "user=alice"]).contains("by tester: backfill"));
    assert!(order(&["unexempt", "user=alice"]).contains("not exempted any more"));
    refused(&["unexempt", "user=alice"], "is not exempted");
    refused(&["release", "user=alice"], "no quota of ours stands for user=alice");
    assert!(order(&["reap"]).contains("0 of 0 holds had expired"));

    let wrong = crate::fixtures::put(enforcer.folder(), "wrong", "open\n").display().to_string();
    refused(&["pause", "--reason", "x", "--token-file", &wrong], "401");
    let text = run(enforcer, &["history", "user=alice"]);
    assert!(
        text.contains("exempted") && text.contains("exemption-ended") && !text.contains("paused"),
        "{text}"
    );
}

async fn reloads(enforcer: &Enforcer, good: &str) {
    let before = enforcer.status().await.unwrap()["policy"].clone();
    enforcer.configure(&good.replace("enter: 50kB/s", "enter: fast")).unwrap();
    enforcer
        .configure(&good.replace("lease: 60s", "lease: 61s").replace("enter: 50kB/s", "enter: 60kB/s"))
        .unwrap();
    let swapped =
        status(enforcer, "the new rules", |status| status["policy"] != before && observed(status)).await;
    assert_eq!(swapped["notes"][0], "`ledger` has changed in the file: restart to use it");
    enforcer.configure(good).unwrap();
    status(enforcer, "the old rules", |status| {
        status["policy"] == before && status["notes"] == Value::Array(Vec::new())
    })
    .await;
}

/// The chain proves itself, here and with nothing but SHA-256.
fn proves(enforcer: &Enforcer) {
    let text = run(enforcer, &["audit", "verify"]);
    assert!(text.starts_with("whole: ") && text.ends_with("anchored in the ledger\n"), "{text}");
    let found = json(enforcer, &["audit", "verify"]);
    let exported = run(enforcer, &["audit", "export"]);
    let lines: Vec<&str> = exported.lines().collect();
    assert_eq!(found["records"], lines.len());
    for pair in lines.windows(2) {
        let record: Value = serde_json::from_str(pair[1]).unwrap();
        assert_eq!(record["prev"], digest(pair[0].as_bytes()));
    }
    assert_eq!(found["head"]["hash"], digest(lines[lines.len() - 1].as_bytes()));
}

/// Without a daemon, commands ask the servers themselves and lead for one act.
async fn alone(enforcer: &Enforcer) {
    let (code, out, err) = enforcer.command(&["status"]).unwrap();
    assert!(code == Some(0) && out.contains("no daemon answers"), "{out}{err}");
    let plan = json(enforcer, &["plan"]);
    assert_eq!((&plan["confirmed"], &plan["changes"]), (&false.into(), &Value::Array(Vec::new())));
    shows(enforcer, &["explain", "user=alice"], &["loud (observe, of platform): observed"]).await;
    assert!(run(enforcer, &["pause", "--by", "tester", "--reason", "no daemon"]).starts_with("paused"));
    assert_eq!(json(enforcer, &["status"])["pause"]["reason"], "no daemon");
    assert!(run(enforcer, &["reap", "--by", "cron"]).contains("0 of 0 holds had expired"));
    assert_eq!(run(enforcer, &["resume", "--by", "tester"]), "resumed\n");
    let found = json(enforcer, &["audit", "verify"]);
    assert_eq!((&found["whole"], &found["anchored"]), (&true.into(), &true.into()));
    assert!(run(enforcer, &["history"]).contains("no daemon"));
    let nowhere = ["reap", "--by", "cron", "--api", "http://127.0.0.1:1"];
    fails(enforcer, &nowhere, "cannot ask http://127.0.0.1:1");
}

async fn gone(quotas: &Quotas) {
    wait::until("no quota", LIMIT, || async {
        Ok((quotas.snapshot().await? == Snapshot::default()).then_some(()))
    })
    .await
    .unwrap();
}
