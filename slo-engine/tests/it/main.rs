//! Integration tests.

mod accuracy;
mod architecture;
mod backfill;
mod cli;
mod commands;
mod conformance;
mod diff;
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
mod support;
mod validate;
