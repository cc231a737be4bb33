//! SLO specs in, Prometheus recording and alert rules out.
//!
//! ```text
//! cli ──> app ──> commands::* ──> input ──> spec ──> slo_engine_core ──> output
//! ```
//!
//! [`app::run`] is the whole program as a function of its arguments and streams: `main` and the tests call the same.

pub mod adapters;
pub mod app;
pub mod cli;
pub mod commands;
pub mod input;
pub mod output;
pub mod spec;
pub mod specs;
