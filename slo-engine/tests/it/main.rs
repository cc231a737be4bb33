//! Integration tests.

mod architecture;
mod backfill;
mod accuracy;
mod equivalence;
mod lean_promtool;
mod lean_support;
mod output;
