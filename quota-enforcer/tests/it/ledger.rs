//! Ledger, audit and leadership on a real cluster.
//!
//! Group and transactional id are the same for every enforcer, so that each test has the cluster for itself.

mod child;
mod election;
mod loss;
mod rival;
mod topics;
mod transactions;
pub(crate) mod world;
