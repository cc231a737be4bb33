//! The runtime half against the real thing: sockets, files, signals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics; clippy.toml allows it in test functions, this allows it in their helpers"
)]

mod admin;
mod limits;
mod process;
mod reload;
mod runtime;
mod support;
