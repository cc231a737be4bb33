//! The enforcer's binary on real clusters. Each test has a cluster of its own for as long as it runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics; clippy.toml allows it in test functions, this allows it in their helpers"
)]

use std::path::{Path, PathBuf};

mod faults;

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
