//! The configuration of a running process: built anew, then swapped; the last good one stays.
//!
//! Three things ask for it: the file (watched), SIGHUP, and `POST /-/reload`. All go into one queue and are handled one at
//! a time; what asks while a reload waits for its turn shares its result.
//!
//! - Everything that can fail happens in `load`, before anybody sees anything of it.
//! - Readers hold a [`Current`]: they see the old value or the new one, and are told of the change.
//! - Events of the file system are hints only; the hash of the content decides. The parent folder is watched, so the swap
//!   of a Kubernetes ConfigMap, an editor's rename and a file that comes back are all seen. A slow poll sees what no event
//!   told: other file systems, a folder that was replaced.
//! - SIGHUP and requests load even when the file is the same, since `load` may read other files.

mod metrics;
mod watch;
mod worker;

use std::fmt::{Debug, Display};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::config;
use crate::diagnostic::{self, Diagnostic, Format};
use crate::source::Source;

pub use worker::Reloader;

/// What is in force, and which one it is.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// SHA-256 of the file's bytes, as `sha256sum` prints it.
    pub hash: String,
    /// 1 for the first, and one more for each that was loaded.
    pub generation: u64,
    /// When it came into force, in milliseconds since 1970.
    pub loaded_at_ms: i64,
}

/// What is in force now. `changed()` tells of the next.
pub type Current<T> = tokio::sync::watch::Receiver<Arc<Loaded<T>>>;

/// Which file, and how it is watched.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file.
    pub path: PathBuf,
    /// How long the file must be quiet before it is read.
    pub debounce: Duration,
    /// How often it is read without any event.
    pub poll: Duration,
}

impl Options {
    /// That file, read 200 ms after its last change.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), debounce: Duration::from_millis(200), poll: Duration::from_secs(30) }
    }
}

/// Who asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The file changed.
    File,
    /// SIGHUP.
    Signal,
    /// `POST /-/reload`.
    Request,
}

/// A reload that worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Of the new configuration.
    pub generation: u64,
    /// Of the new configuration.
    pub hash: String,
}

/// A reload that changed nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(Arc<str>);

impl Failed {
    fn new(reason: impl Display) -> Self {
        Self(reason.to_string().into())
    }
}

impl From<Vec<Diagnostic>> for Failed {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        let mut text = Vec::new();
        for diagnostic in &diagnostics {
            // A Vec takes whatever is written to it.
            drop(diagnostic::write(&mut text, diagnostic, Format::Text { color: false }));
        }
        Self::new(String::from_utf8_lossy(&text).trim_end())
    }
}

type Answer = Result<Done, Failed>;

struct Job {
    trigger: Trigger,
    answer: oneshot::Sender<Answer>,
}

/// Asks for reloads.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Job>);

impl Handle {
    /// Reads the file and, if nothing is wrong, puts it in force.
    ///
    /// # Errors
    /// What is wrong, for people; the configuration that was in force still is.
    pub async fn reload(&self, trigger: Trigger) -> Answer {
        let (answer, answered) = oneshot::channel();
        let gone = || Failed::new("shutting down");
        self.0.send(Job { trigger, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

type Load<T> = Arc<dyn Fn(&Source) -> Result<T, Vec<Diagnostic>> + Send + Sync>;

/// Loads for the first time. `load` may block; later it is called off the async threads.
///
/// Run [`Reloader::run`] as a critical task for changes to be seen.
///
/// # Errors
/// What is wrong with the file: without a first configuration there is nothing to keep.
pub fn open<T, L>(
    options: Options,
    clock: Arc<dyn Clock>,
    registry: &mut Registry,
    load: L,
) -> Result<(Reloader<T>, Handle, Current<T>), Vec<Diagnostic>>
where
    T: Send + Sync + 'static,
    L: Fn(&Source) -> Result<T, Vec<Diagnostic>> + Send + Sync + 'static,
{
    let source = config::open(&options.path).map_err(|diagnostic| vec![diagnostic])?;
    let loaded =
        Loaded { value: load(&source)?, hash: hash(&source), generation: 1, loaded_at_ms: clock.now_ms() };
    let metrics = metrics::Metrics::register(registry);
    metrics.succeeded(&loaded.hash, loaded.loaded_at_ms);
    let (sender, current) = tokio::sync::watch::channel(Arc::new(loaded));
    let (ask, asked) = mpsc::channel(16);
    let reloader = Reloader::new(options, clock, metrics, Arc::new(load), sender, asked);
    Ok((reloader, Handle(ask), current))
}

/// SHA-256 of the text, as `sha256sum` prints it.
fn hash(source: &Source) -> String {
    Sha256::digest(source.text().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
