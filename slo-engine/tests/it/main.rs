//! Integration tests.

mod accuracy;
mod architecture;
mod backfill;
mod cli;
mod conformance;
mod equivalence;
mod generate;
mod lean_promtool;
mod lean_support;
mod output;
mod sloth_traps;
mod lean_truth;
