//! The two ways of turning an SLO into rules.

pub mod lean;
pub mod sloth;
