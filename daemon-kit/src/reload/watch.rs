//! Hints that a file may have changed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

/// A file that is written to all the time is read at least this often, in units of the debounce.
const PATIENCE: u32 = 10;

/// Watches the folder of a file. Without events (no inotify left, a strange file system) the poll has to do.
pub(super) struct Hints {
    hint: Arc<Notify>,
    _watcher: Option<RecommendedWatcher>,
}

impl Hints {
    pub(super) fn of(path: &Path) -> Self {
        let hint = Arc::new(Notify::new());
        let watcher = watch(path, Arc::clone(&hint))
            .map_err(|error| tracing::warn!(%error, "cannot watch the configuration: polling it"))
            .ok();
        Self { hint, _watcher: watcher }
    }

    /// One more hint.
    pub(super) fn raise(&self) {
        self.hint.notify_one();
    }

    /// Returns when the folder was quiet for `debounce` after a hint.
    pub(super) async fn quiet(&self, debounce: Duration) {
        self.hint.notified().await;
        let latest = Instant::now() + debounce * PATIENCE;
        while let Ok(Ok(())) = timeout_at(latest, timeout(debounce, self.hint.notified())).await {}
    }
}

fn watch(path: &Path, hint: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| !only_read(event.kind)) {
            hint.notify_one();
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Our own reading is an event too, and must not cause the next.
fn only_read(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints() -> Hints {
        Hints { hint: Arc::new(Notify::new()), _watcher: None }
    }

    #[tokio::test(start_paused = true)]
    async fn many_hints_become_one() {
        let hints = hints();
        let burst = async {
            for _ in 0..5 {
                hints.raise();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let start = Instant::now();
        let (quiet, ()) = tokio::join!(
            async {
                hints.quiet(Duration::from_millis(200)).await;
                start.elapsed()
            },
            burst
        );
        assert_eq!(quiet.as_millis(), 600, "200 ms after the last");
        assert!(timeout(Duration::from_secs(60), hints.quiet(Duration::from_millis(200))).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_never_quiet_is_read_all_the_same() {
        let hints = hints();
        let start = Instant::now();
        tokio::select! {
            () = hints.quiet(Duration::from_millis(200)) => {}
            () = async {
                loop {
                    hints.raise();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            } => {}
        }
        assert_eq!(start.elapsed().as_millis(), 2_000);
    }

    #[test]
    fn reading_is_no_change() {
        assert!(only_read(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(only_read(EventKind::Access(AccessKind::Close(AccessMode::Read))));
        assert!(!only_read(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(!only_read(EventKind::Any));
    }
}
