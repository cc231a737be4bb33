//! What is thought of clients, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::measure::Measured;
use crate::entity::Entity;
use crate::ledger::Phase;
use crate::policy::Rule;
use crate::quota::Key;
use crate::time::Timestamp;
use crate::usage::{Rates, Unknown};

/// What is thought of one client by one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rule.
    pub rule: String,
    /// The client; `None`: about the rule as a whole.
    pub entity: Option<Entity>,
    /// What the rule limits.
    pub key: Key,
    /// What it is.
    pub state: State,
    /// The measured value, in the unit of the rule's thresholds.
    pub value: Option<f64>,
    /// The rates it was taken from.
    pub rates: Option<Rates>,
    /// In words.
    pub why: String,
}

impl Verdict {
    /// About a client, without what was measured.
    pub(super) fn of(rule: &Rule, entity: &Entity, state: State, why: String) -> Self {
        Self { entity: Some(entity.clone()), ..Self::of_rule(rule, state, why) }
    }

    /// About the rule as a whole.
    pub(super) fn of_rule(rule: &Rule, state: State, why: String) -> Self {
        let rates = None;
        Self { rule: rule.name.clone(), entity: None, key: rule.key, state, value: None, rates, why }
    }

    pub(super) fn blocked(rule: &Rule, entity: &Entity, by: Block) -> Self {
        let why = by.to_string();
        Self::of(rule, entity, State::Blocked { by }, why)
    }

    /// About a client, or about the rule as a whole.
    pub(super) fn unknown(rule: &Rule, entity: Option<Entity>, reason: Unknown) -> Self {
        let why = reason.to_string();
        Self { entity, ..Self::of_rule(rule, State::Unknown { reason }, why) }
    }

    /// With the measured value.
    pub(super) fn measured(self, measured: &Measured) -> Self {
        Self { value: Some(measured.value), rates: Some(measured.rates.clone()), ..self }
    }

    /// The same about a client that something keeps from being throttled after all.
    pub(super) fn but(self, by: Block) -> Self {
        Self { why: by.to_string(), state: State::Blocked { by }, ..self }
    }

    /// The same about a client of which too little is known to throttle it after all.
    pub(super) fn but_unknown(self, reason: Unknown) -> Self {
        Self { why: reason.to_string(), state: State::Unknown { reason }, ..self }
    }
}

/// Where a client stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Nothing can be said, so nothing is done.
    Unknown {
        /// Why.
        reason: Unknown,
    },
    /// Over the threshold, not confirmed yet.
    Over,
    /// Confirmed by a rule that observes: nobody is told.
    Observed,
    /// Confirmed; the rule's mode goes no further.
    Flagged,
    /// Confirmed, and something keeps it from being throttled.
    Blocked {
        /// What.
        by: Block,
    },
    /// A throttle begins now.
    Caught,
    /// Held.
    Held {
        /// Where the hold stands.
        phase: Phase,
    },
    /// Held, and the bound does not bite.
    Ineffective,
}

impl State {
    /// In labels.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Over => "over",
            Self::Observed => "observed",
            Self::Flagged => "flagged",
            Self::Blocked { .. } => "blocked",
            Self::Caught => "caught",
            Self::Held { .. } => "held",
            Self::Ineffective => "ineffective",
        }
    }
}

/// What keeps a confirmed client from being throttled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "block", rename_all = "snake_case")]
pub enum Block {
    /// It is protected.
    Protected {
        /// By which pattern.
        pattern: String,
    },
    /// It is exempted.
    Exempt {
        /// Until when.
        until: Timestamp,
    },
    /// Enforcement is paused.
    Paused,
    /// The budget does not burn fast enough.
    Budget {
        /// Burn rate now.
        burn: f64,
    },
    /// Something else than this client: not the leader, a custom callback, a ledger that cannot be written.
    Enforcement {
        /// In words.
        why: String,
    },
    /// A write would do something else, too.
    Hazards {
        /// In words.
        hazards: Vec<String>,
    },
    /// A cap is reached.
    Cap {
        /// Which.
        cap: Cap,
    },
    /// A bound that would bite lies below what is safe to set.
    Floor {
        /// The lowest safe bound on a broker; absent where any would be too low.
        floor: Option<f64>,
    },
    /// It grows so fast that any bound below its rate of now may be far below its rate when the bound takes effect.
    Rising {
        /// The longest pause that may be caused, in milliseconds.
        mute_ms: i64,
    },
    /// It was so much faster a moment ago that what its sensors hold makes any bound below its rate cause long pauses.
    Falling {
        /// The longest pause that may be caused, in milliseconds.
        mute_ms: i64,
    },
    /// It uses no more than the limit would give it.
    WithinLimit,
    /// Another rule holds the same slot.
    OtherRule {
        /// Which.
        rule: String,
    },
}

/// What bounds how much is done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// Throttles at the same time.
    Throttles,
    /// Share of clients.
    ShareOfClients,
    /// Share of traffic.
    ShareOfTraffic,
    /// Quota writes a minute.
    ChangesPerMinute,
}

impl Cap {
    /// In labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttles => "throttles",
            Self::ShareOfClients => "share_of_clients",
            Self::ShareOfTraffic => "share_of_traffic",
            Self::ChangesPerMinute => "changes_per_minute",
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected { pattern } => write!(f, "protected by {pattern}"),
            Self::Exempt { until } => write!(f, "exempted until {until}"),
            Self::Paused => f.write_str("enforcement is paused"),
            Self::Budget { burn } => write!(f, "the rule's SLO burns only at {burn:.2}"),
            Self::Enforcement { why } => f.write_str(why),
            Self::Hazards { hazards } => f.write_str(&hazards.join("; ")),
            Self::Cap { cap } => write!(f, "the cap `{}` is reached: nothing new is done", cap.name()),
            Self::Floor { floor: Some(floor) } => {
                write!(f, "no bound below its rate is safe: the lowest is {floor:.0} on each broker")
            }
            Self::Floor { floor: None } => f.write_str("any bound below its rate is below its floor"),
            Self::Rising { mute_ms } => {
                let (why, then) = ("it still grows", "it is cut when the growth slows");
                write!(f, "{why}: {}; {then}", unsure(*mute_ms))
            }
            Self::Falling { mute_ms } => {
                let (why, then) = ("it was faster a moment ago", "it is cut when that has passed");
                write!(f, "{why}: {}; {then}", unsure(*mute_ms))
            }
            Self::WithinLimit => f.write_str("it uses no more than the limit would give it"),
            Self::OtherRule { rule } => write!(f, "rule `{rule}` holds this quota"),
        }
    }
}

fn unsure(mute_ms: i64) -> String {
    format!("no bound below its rate is sure to keep pauses within {} s", mute_ms as f64 / 1000.0)
}
