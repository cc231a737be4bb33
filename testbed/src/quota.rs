//! A shared Kafka cluster with tenants on it, one of which can go wild, and quota-enforcer watching: for the demo and the
//! test of the whole story.

mod config;
pub mod demo;
mod stage;
mod story;

pub use config::Rule;
pub use stage::{Options, Stage};
pub use story::{Narrator, Report, tell};
