//! The whole story on a real cluster: a tenant runs away, is throttled in steps, calms down and is released. What it shows
//! depends on the latency of other clients, so it has a binary of its own, which runs alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics; clippy.toml allows it in test functions, this allows it in their helpers"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::Notification;
use testbed::kafka::{self, Cluster};
use testbed::quota::{Narrator, Stage, promise, stage, tell};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

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
    let cluster = Cluster::start(&kafka::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("promise.yml");
    let (spec, windows) =
        (root().join("examples/quota/produce-latency.yaml"), root().join("examples/shop/windows"));
    promise(&slo_engine(), &spec, &windows, &rules).unwrap();
    let alertmanager = std::fs::read_to_string(root().join("examples/quota/alertmanager.yml")).unwrap();
    let options = stage(
        Path::new(env!("CARGO_BIN_EXE_quota-enforcer")),
        vec![rules, root().join("rules/quota-enforcer.yml")],
        alertmanager,
    );
    let stage = Stage::start(&cluster, &options).await.unwrap();
    let (stage, report) = tell(&cluster, stage, &mut Aloud).await.unwrap();
    println!("{report:?}");

    assert!(report.bounds.len() >= 2, "in steps: {:?}", report.bounds);
    assert!(report.bounds.is_sorted_by(|a, b| a >= b), "{:?}", report.bounds);
    assert!(report.longest_throttle > Duration::ZERO, "brokers throttled it: {report:?}");
    assert!(report.outputs["audit"].contains("records"), "{}", report.outputs["audit"]);
    drop(stage);
}
