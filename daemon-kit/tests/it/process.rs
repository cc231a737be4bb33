//! A daemon as a process of its own: real signals, real exit, few descriptors.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use daemon_kit::args::LogFormat;
use daemon_kit::config;
use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::reload::Options;
use daemon_kit::runtime::Runtime;
use daemon_kit::source::Source;
use daemon_kit::telemetry;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{DEADLINE, get, options, write};

const FOLDER: &str = "KIT_TEST_FOLDER";

/// Not a test: this binary runs it as the daemon.
#[tokio::test]
#[ignore = "runs as a process of other tests"]
async fn daemon() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let _telemetry = telemetry::start(telemetry::Options {
        service: "kit-test",
        version: "0",
        filter: "info",
        format: LogFormat::Json,
        otlp_endpoint: None,
    })
    .unwrap();
    let mut runtime = Runtime::builder("kit-test", "0").admin(options()).build().unwrap();
    let watched =
        Options { poll: Duration::from_secs(3_600), ..Options::new(Path::new(&folder).join("policy")) };
    let load = |source: &Source| Ok::<_, Vec<Diagnostic>>(source.text().trim().to_owned());
    let mut current = runtime.config(watched, load).unwrap();
    let mode = current.borrow_and_update().value.clone();
    runtime.stage("work", Duration::from_secs(3_600)).critical("worker", |cancel| async move {
        loop {
            tokio::select! {
                Ok(()) = current.changed() => {
                    let loaded = current.borrow_and_update().clone();
                    println!("generation={}", loaded.generation);
                    assert_ne!(loaded.value, "panic", "on purpose");
                }
                () = cancel.cancelled() => break,
            }
        }
        println!("draining");
        if mode == "deaf" {
            std::future::pending::<()>().await;
        }
    });
    println!("address={}", runtime.admin_address().unwrap());
    let code =
        runtime.run().await.map_or_else(|error| format!("{} {error}", error.exit_code()), |()| "0".into());
    println!("exit={code}");
}

struct Daemon {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn start(mode: &str, limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path().join("policy"), mode);
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limits} exec \"$0\" --exact process::daemon --ignored --nocapture")])
            .arg(std::env::current_exe().unwrap())
            .env(FOLDER, folder.path())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, folder }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn policy(&self, text: &str) {
        write(self.folder.path().join("policy"), text);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What follows the key on the next line that has it.
    fn told(&mut self, key: &str) -> String {
        for line in self.lines.by_ref() {
            if let Some((_, value)) = line.unwrap().split_once(key) {
                return value.to_owned();
            }
        }
        panic!("ended without {key}: {}", self.log());
    }

    fn address(&mut self) -> SocketAddr {
        self.told("address=").parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// It listens for signals before it serves.
async fn serves(address: SocketAddr) {
    assert_eq!(get(address, "/live").await.status, 200);
}

#[tokio::test]
async fn sigterm_drains_and_sighup_reloads() {
    let mut daemon = Daemon::start("good", "");
    serves(daemon.address()).await;
    daemon.signal(Signal::HUP);
    assert_eq!(daemon.told("generation="), "2", "the same content: a signal insists");
    daemon.policy("other");
    assert_eq!(daemon.told("generation="), "3");
    daemon.signal(Signal::TERM);
    daemon.told("draining");
    assert_eq!(daemon.told("exit="), "0");
}

#[tokio::test]
async fn the_second_signal_aborts() {
    let mut daemon = Daemon::start("deaf", "");
    serves(daemon.address()).await;
    daemon.signal(Signal::INT);
    daemon.told("draining");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.told("exit="), "130 aborted by a second signal");
}

#[tokio::test]
async fn a_panic_is_logged_with_its_task_and_ends_the_process() {
    let mut daemon = Daemon::start("good", "");
    serves(daemon.address()).await;
    daemon.policy("panic");
    assert_eq!(daemon.told("exit="), "1 task worker panicked");
    let log = daemon.log();
    let panics = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let panic = panics.into_iter().find(|line| line["task"] == "worker").expect(&log);
    assert!(panic["message"].as_str().unwrap().contains("on purpose"), "{panic}");
    assert!(panic["place"].as_str().unwrap().contains("process.rs"), "{panic}");
}

#[tokio::test]
async fn without_free_descriptors_it_pauses_and_recovers() {
    let mut daemon = Daemon::start("good", "ulimit -n 40;");
    let address = daemon.address();
    serves(address).await;
    let start = tokio::time::Instant::now();
    let crowd: Vec<_> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
    let failures = |daemon: &Daemon| daemon.log().matches("cannot accept a connection").count();
    while failures(&daemon) < 3 {
        assert!(start.elapsed() < DEADLINE, "{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // In this order: the log goes on.
    let failed = failures(&daemon);
    let pauses = usize::try_from(start.elapsed().as_millis() / 200).unwrap();
    assert!(failed <= pauses + 2, "a hot loop: {failed} in {:?}", start.elapsed());
    drop(crowd);
    serves(address).await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.told("exit="), "0");
}

#[test]
fn configurations_are_checked_without_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy");
    write(&path, "- 1\n");
    let source = config::open(&path).unwrap();
    assert_eq!(config::load::<Vec<u8>>(&source).unwrap(), [1]);
}
