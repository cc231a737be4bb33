//! Integration tests.

mod architecture;
mod backfill;
mod lean_promtool;
mod lean_support;
mod output;
