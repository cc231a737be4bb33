//! Another process that leads: this test binary again, which can be killed and stopped like a daemon.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use daemon_kit::clock::SystemClock;
use quota_enforcer::adapters::ledger::{Election, Place};
use quota_enforcer::ports::LedgerStore as _;

use testbed::wait::LIMIT;

use super::world::{World, entry, lead, settings};

const CONFIG: &str = "LEDGER_CHILD_CONFIG";
const NAME: &str = "LEDGER_CHILD_NAME";

/// The lease that a child takes.
pub(crate) const LEASE_OF_CHILD: Duration = Duration::from_secs(5);

/// A child process. Dropping it kills it.
pub(crate) struct Leader {
    child: Child,
    lines: Receiver<String>,
}

impl Leader {
    /// Starts a process that wants to lead the ledger of this world.
    pub(crate) fn spawn(world: &World, name: &str) -> Self {
        let config: String =
            world.place.config.properties().iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["ledger::child::leads", "--exact", "--ignored", "--nocapture", "--quiet"])
            .env(CONFIG, config)
            .env(NAME, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a line that begins so, and hands back the rest of it.
    pub(crate) fn until(&self, start: &str) -> String {
        self.lines_until(start).pop().unwrap()[start.len()..].to_owned()
    }

    /// Waits for a line that begins so, and hands back all lines up to it.
    pub(crate) fn lines_until(&self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.starts_with(start)) {
            let line = self.lines.recv_timeout(LIMIT);
            lines.push(line.unwrap_or_else(|_| panic!("the child never says {start}, only {lines:?}")));
        }
        lines
    }

    /// Forgets what it has said so far.
    pub(crate) fn forget(&self) {
        while self.lines.try_recv().is_ok() {}
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What the other process does: leads, and says at each step what it sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is started by other tests"]
async fn leads() {
    let (Ok(text), Ok(name)) = (std::env::var(CONFIG), std::env::var(NAME)) else { return };
    let config = kafka_admin::Config::new(text.lines().filter_map(|line| line.split_once('='))).unwrap();
    let admin = kafka_admin::Client::connect(config.clone()).await.unwrap();
    let mut settings = settings(&name);
    settings.instance = "child".to_owned();
    // Its end is waited for.
    settings.ledger.lease = LEASE_OF_CHILD;
    settings.timeout = Duration::from_secs(5);
    settings.request_timeout = Duration::from_secs(1);
    settings.session = Duration::from_secs(8);
    let place = Place { config, admin, settings, clock: Arc::new(SystemClock::new()) };
    let mut election = Election::join(place).await.unwrap();
    say("joined");
    let leadership = lead(&mut election).await.unwrap();
    say(&format!("leads {}", leadership.epoch));
    let store = leadership.store;
    for number in 0_u64.. {
        say(&format!("lease {}", store.lease_left().as_millis()));
        match store.commit(&[], &[entry(&format!("child {number}"))]).await {
            Ok(head) => say(&format!("wrote {}", head.seq)),
            Err(fault) => say(&format!("fault {fault:?}")),
        }
        if let Some(end) = store.end() {
            say(&format!("lease at the end {}", store.lease_left().as_millis()));
            say(&format!("end {end:?}"));
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    election.leave().await;
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}
