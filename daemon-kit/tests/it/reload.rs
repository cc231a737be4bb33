//! Laws of reload, on real files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use daemon_kit::config;
use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::reload::{Current, Options};
use daemon_kit::source::Source;
use serde::Deserialize;
use tempfile::TempDir;

use crate::support::{Running, build, call, options, until, within, write};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    limit: u32,
}

/// Nothing is seen by luck: only events, or only polling.
const NEVER: Duration = Duration::from_secs(3_600);

fn events(path: &Path) -> Options {
    Options { debounce: Duration::from_millis(50), poll: NEVER, ..Options::new(path) }
}

struct Daemon {
    folder: TempDir,
    running: Running,
    current: Current<Config>,
}

impl Daemon {
    fn path(&self) -> PathBuf {
        self.folder.path().join("policy.yaml")
    }

    /// A daemon whose policy allows 1.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        write(&path, "limit: 1\n");
        Self::watching(folder, events(&path))
    }

    fn watching(folder: TempDir, watched: Options) -> Self {
        write(folder.path().join("token"), "t");
        let mut options = options();
        options.token_file = Some(folder.path().join("token"));
        let mut runtime = build(options);
        let current = runtime.config(watched, config::load::<Config>).unwrap();
        let daemon = Self { folder, running: Running::start(runtime), current };
        assert_eq!(daemon.limit(), 1);
        daemon
    }

    fn limit(&self) -> u32 {
        self.current.borrow().value.limit
    }

    async fn shows(&mut self, limit: u32) {
        let changed = self.current.wait_for(|loaded| loaded.value.limit == limit);
        drop(within("the new limit", changed).await.unwrap());
    }

    async fn counted(&self, result: &str) -> f64 {
        self.running.metric(&format!("config_reloads_total{{result=\"{result}\"}}")).await.unwrap()
    }

    async fn post(&self) -> (u16, String) {
        let answer = call(self.running.address, "POST", "/-/reload", Some("t")).await;
        (answer.status, answer.body)
    }
}

#[tokio::test]
async fn a_new_file_is_put_in_force() {
    let mut daemon = Daemon::start();
    let first = daemon.current.borrow().hash.clone();
    write(daemon.path(), "limit: 2\n");
    daemon.shows(2).await;
    let loaded = Arc::clone(&daemon.current.borrow());
    assert_eq!(loaded.generation, 2);
    let sha256sum = "320e24dd1b1761356f98dd9f030f8852bcdae2566ebce462bdbed24bd1de08d8";
    assert_eq!(loaded.hash, sha256sum);
    assert!(loaded.hash != first && loaded.loaded_at_ms > 1_600_000_000_000);
    let info = format!("config_hash_info{{sha256=\"{}\"}}", loaded.hash);
    assert_eq!(daemon.running.metric(&info).await, Some(1.0));
    let since = daemon.running.metric("config_last_reload_success_timestamp_seconds").await.unwrap();
    assert_eq!(since, (loaded.loaded_at_ms / 1_000) as f64);
    daemon.running.stop().await;
}

#[tokio::test]
async fn an_error_leaves_the_previous_one_intact() {
    let mut daemon = Daemon::start();
    write(daemon.path(), "limit: many\n");
    until("the error", async || daemon.counted("error").await == 1.0).await;
    assert_eq!((daemon.limit(), daemon.current.borrow().generation), (1, 1));
    assert_eq!(daemon.running.metric("config_last_reload_successful").await, Some(0.0));
    let (status, text) = daemon.post().await;
    assert_eq!(status, 400);
    assert!(text.contains("policy.yaml:1:8") && text.contains("limit: many"), "{text}");

    // Back to the very content that is in force: good again.
    write(daemon.path(), "limit: 1\n");
    until("success", async || daemon.running.metric("config_last_reload_successful").await == Some(1.0))
        .await;
    write(daemon.path(), "limit: 3\n");
    daemon.shows(3).await;
    assert_eq!(daemon.counted("error").await, 2.0, "the event and the request");
    daemon.running.stop().await;
}

#[tokio::test]
async fn the_swap_of_a_config_map_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    // As the kubelet lays it out: the file points into ..data, and ..data to the folder of a version.
    let version = |name: &str, limit: u32| {
        fs::create_dir(root.join(name)).unwrap();
        write(root.join(name).join("policy.yaml"), format!("limit: {limit}\n"));
    };
    version("..2026_01", 1);
    symlink("..2026_01", root.join("..data")).unwrap();
    symlink("..data/policy.yaml", root.join("policy.yaml")).unwrap();
    let mut daemon = Daemon::watching(folder, events(&root.join("policy.yaml")));
    for limit in 2..5 {
        let name = format!("..2026_0{limit}");
        version(&name, limit);
        symlink(&name, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        daemon.shows(limit).await;
        fs::remove_dir_all(root.join(format!("..2026_0{}", limit - 1))).unwrap();
    }
    assert_eq!(daemon.counted("error").await, 0.0);
    daemon.running.stop().await;
}

#[tokio::test]
async fn an_editor_s_rename_and_a_file_that_comes_back_are_seen() {
    let mut daemon = Daemon::start();
    let new = daemon.folder.path().join(".policy.yaml.swp");
    for limit in 2..5 {
        write(&new, format!("limit: {limit}\n"));
        fs::rename(&new, daemon.path()).unwrap();
        daemon.shows(limit).await;
    }
    fs::remove_file(daemon.path()).unwrap();
    until("the error", async || daemon.counted("error").await == 1.0).await;
    assert_eq!(daemon.limit(), 4, "the last good one stays");
    write(daemon.path(), "limit: 5\n");
    daemon.shows(5).await;
    daemon.running.stop().await;
}

#[tokio::test]
async fn rapid_edits_become_few_reloads_and_the_last_one_counts() {
    let mut daemon = Daemon::start();
    for limit in 2..=100 {
        write(daemon.path(), format!("limit: {limit}\n"));
    }
    daemon.shows(100).await;
    let generation = daemon.current.borrow().generation;
    assert!((2..20).contains(&generation), "{generation} generations of 99 edits");
    daemon.running.stop().await;
}

#[tokio::test]
async fn the_same_content_is_no_reload_unless_somebody_insists() {
    let mut daemon = Daemon::start();
    write(daemon.path(), "limit: 1\n");
    write(daemon.folder.path().join("neighbour"), "x");
    let (status, text) = daemon.post().await;
    assert_eq!((status, daemon.current.borrow().generation), (200, 2), "{text}");
    assert!(text.starts_with("generation 2, sha256 "), "{text}");
    write(daemon.path(), "limit: 2\n");
    daemon.shows(2).await;
    assert_eq!(daemon.current.borrow().generation, 3);
    let refused = call(daemon.running.address, "POST", "/-/reload", None).await;
    assert_eq!((refused.status, daemon.current.borrow().generation), (401, 3));
    daemon.running.stop().await;
}

#[tokio::test]
async fn polling_sees_what_no_event_tells() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = elsewhere.path().join("target.yaml");
    write(&target, "limit: 1\n");
    let path = folder.path().join("policy.yaml");
    symlink(&target, &path).unwrap();
    let watched = Options { poll: Duration::from_millis(20), ..events(&path) };
    let mut daemon = Daemon::watching(folder, watched);
    write(&target, "limit: 2\n");
    daemon.shows(2).await;
    daemon.running.stop().await;
}

#[tokio::test]
async fn reloads_come_one_at_a_time_and_a_broken_loader_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    write(&path, "x");
    write(folder.path().join("token"), "t");
    let (inside, loads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = {
        let (inside, loads) = (Arc::clone(&inside), Arc::clone(&loads));
        move |source: &Source| {
            assert!(source.text() != "panic", "on purpose");
            assert!(!inside.swap(true, Ordering::SeqCst), "two at a time");
            loads.fetch_add(1, Ordering::SeqCst);
            std::thread::yield_now();
            inside.store(false, Ordering::SeqCst);
            Ok::<_, Vec<Diagnostic>>(source.text().to_owned())
        }
    };
    let mut options = options();
    options.token_file = Some(folder.path().join("token"));
    let mut runtime = build(options);
    let current = runtime.config(events(&path), load).unwrap();
    assert!(runtime.config(events(&path), config::load::<Config>).is_err(), "a daemon has one configuration");
    let running = Running::start(runtime);
    let post = || call(running.address, "POST", "/-/reload", Some("t"));
    let answers = tokio::join!(post(), post(), post(), post(), post(), post());
    for answer in [answers.0, answers.1, answers.2, answers.3, answers.4, answers.5] {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert!((2..=7).contains(&loads.load(Ordering::SeqCst)));
    write(&path, "panic");
    let broken = post().await;
    assert_eq!(broken.status, 400);
    assert!(broken.body.contains("the loader broke"), "{}", broken.body);
    assert_eq!(current.borrow().value, "x");
    running.stop().await;
}

#[tokio::test]
async fn a_first_configuration_must_be_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    let mut runtime = build(options());
    assert_eq!(
        runtime.config(events(&path), config::load::<Config>).unwrap_err()[0].code,
        "config-unreadable"
    );
    write(&path, "limits: 1\n");
    assert_eq!(runtime.config(events(&path), config::load::<Config>).unwrap_err()[0].code, "config");
    write(&path, "limit: 7\n");
    assert_eq!(runtime.config(events(&path), config::load::<Config>).unwrap().borrow().value.limit, 7);
}
