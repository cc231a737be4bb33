//! Against real brokers, and against servers that are none.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics; clippy.toml allows it in test functions, this allows it in their helpers"
)]

mod cluster;
mod hostile;
mod oracle;
mod outage;
mod quotas;
mod security;
mod support;
mod tls;
