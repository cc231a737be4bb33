//! Integration tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics; clippy.toml allows it in test functions, this allows it in their helpers"
)]

mod accuracy;
mod architecture;
mod backfill;
mod cli;
mod commands;
mod conformance;
mod diff;
mod docs;
mod e2e;
mod equivalence;
mod explain;
mod generate;
mod lean_alerts;
mod lean_promtool;
mod lean_support;
mod lean_truth;
mod live;
mod output;
mod promtool;
mod sloth_traps;
mod spec;
mod spec_schema;
mod support;
mod validate;
