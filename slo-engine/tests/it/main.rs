//! Integration tests.

mod architecture;
mod lean_promtool;
mod lean_support;
mod output;
