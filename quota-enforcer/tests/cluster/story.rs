//! The whole story on a real cluster: a tenant runs away, is throttled in steps, calms down and is released.

use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::Notification;
use testbed::kafka::{self, Cluster};
use testbed::quota::{Narrator, Options, Rule, Stage, promise, tell};

use crate::root;

const LIMIT: u32 = 900_000;
const MUTE: Duration = Duration::from_secs(10);

/// slo-engine's binary, built beside ours by `cargo test --workspace`.
fn slo_engine() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_quota-enforcer")).with_file_name("slo-engine");
    assert!(path.is_file(), "{} is missing: cargo build -p slo-engine", path.display());
    path
}

/// Tells the test's log.
struct Aloud;

impl Narrator for Aloud {
    fn chapter(&mut self, text: &str) {
        println!("== {text}");
    }

    fn line(&mut self, text: &str) {
        println!("{text}");
    }

    fn output(&mut self, command: &str, text: &str) {
        println!("$ {command}\n{text}");
    }

    fn notification(&mut self, title: &str, notification: &Notification) {
        println!("{title}: {:?}", notification.labels);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runaway_is_throttled_safely_and_released_to_what_was_before() {
    let _turn = crate::turn().await;
    crate::faults::end_shared_cluster().await;
    let cluster = Cluster::start(&kafka::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("promise.yml");
    let (spec, windows) =
        (root().join("examples/quota/produce-latency.yaml"), root().join("examples/shop/windows"));
    promise(&slo_engine(), &spec, &windows, &rules).unwrap();
    let options = Options {
        program: env!("CARGO_BIN_EXE_quota-enforcer").into(),
        rules: vec![rules, root().join("rules/quota-enforcer.yml")],
        alertmanager: std::fs::read_to_string(root().join("examples/quota/alertmanager.yml")).unwrap(),
        scrape: Duration::from_secs(1),
        rule: Rule { limit: LIMIT, when: Some(("kafka-produce-latency", 1.0)), ..Rule::default() },
        connections: 1,
    };
    let stage = Stage::start(&cluster, &options).await.unwrap();
    let (stage, report) = tell(&cluster, stage, f64::from(LIMIT), MUTE, &mut Aloud).await.unwrap();
    println!("{report:?}");

    assert!(report.bounds.len() >= 2, "in steps: {:?}", report.bounds);
    assert!(report.bounds.is_sorted_by(|a, b| a >= b), "{:?}", report.bounds);
    let [before, during, held] = report.latency.map(Option::unwrap_or_default);
    assert!(during > before, "the others suffered: {before:?} {during:?}");
    assert!(held < during, "and have their latency back: {during:?} {held:?}");
    assert!(report.outputs["audit"].contains("records"), "{}", report.outputs["audit"]);
    drop(stage);
}
