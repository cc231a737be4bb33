//! Who takes more than their share of Kafka, what to do about it, and why.
//!
//! Everything here is a function of its arguments: policy, observation, ledger and time in, values out. Nothing reads a
//! clock, a socket or a file.
//!
//! ```text
//!  quota::Snapshot ─┐                          ┌─ verdict per rule and subject, with reasons
//!  usage::Usage ────┼─> decide::decide ────────┼─ acts: quota writes, each with its evidence
//!  ledger::Ledger ──┤   (policy, state, now)   └─ state for the next tick
//!  policy::Policy ──┘
//! ```
//!
//! - [`entity`], [`quota`], [`resolve`]: what Kafka knows: entities, quotas, which of eight levels binds a client.
//! - [`hazard`]: what a write would do besides what it is meant to do: shadow, loosen, let escape.
//! - [`step`], [`allot`]: how far a bound may be cut at once, and what bound a limit means on each broker.
//! - [`usage`]: measured rates with age and coverage; what is missing is unknown, never zero.
//! - [`policy`]: what may be done to whom.
//! - [`decide`]: what to do now.
//! - [`ledger`], [`recover`], [`audit`]: what was intended and done, how it is taken up after a crash, and the proof.

pub mod allot;
pub mod audit;
pub mod control;
pub mod decide;
pub mod entity;
pub mod hazard;
pub mod ledger;
pub mod policy;
pub mod quota;
pub mod recover;
pub mod resolve;
pub mod step;
pub mod time;
pub mod usage;
