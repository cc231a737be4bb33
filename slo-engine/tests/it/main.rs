//! Integration tests.

mod lean_promtool;
mod lean_support;
mod output;
