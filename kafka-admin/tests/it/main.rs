//! Against real brokers.
