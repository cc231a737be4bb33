//! The enforcer's binary on real clusters, one test at a time: what they measure suffers from company.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics; clippy.toml allows it in test functions, this allows it in their helpers"
)]

use std::path::{Path, PathBuf};

use tokio::sync::{Mutex, MutexGuard};

mod faults;
mod story;

static TURN: Mutex<()> = Mutex::const_new(());

/// One test at a time.
async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
