//! Integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics; clippy.toml allows it in test functions, this allows it in their helpers"
)]

mod api;
mod cli;
mod daemon;
mod explain;
mod faults;
mod fixtures;
mod ledger;
mod openapi;
mod quotas;
mod render;
mod rules;
mod traces;
