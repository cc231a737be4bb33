//! Finds clients that take more than their share of Kafka, throttles them safely, and lets them go.
//!
//! ```text
//!  spec ──> policy ─┐
//!  adapters::prometheus ─> usage ─┐
//!  adapters::quotas ─> quotas ────┼─> core::decide ─> engine: intent ─> alter ─> read back ─> done
//!  adapters::ledger ─> ledger ────┘                      └─> adapters::ledger (facts and audit, one transaction)
//! ```

pub mod adapters;
pub mod api;
pub mod app;
pub mod cli;
pub mod commands;
pub mod engine;
pub mod metrics;
pub mod ports;
pub mod spec;
pub mod status;
pub mod views;
