//! What may be done to whom, checked: readers of policies construct these, decisions rely on them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::entity::{Client, Entity, Kind, Part};
use crate::quota::Key;

/// The policy of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Digest of the file it came from, for records.
    pub version: String,
    /// In the order of the file. The first rule that wants to act on a slot has it.
    pub rules: Vec<Rule>,
    /// Whom no rule touches.
    pub protected: Protected,
    /// How much may be done at once.
    pub caps: Caps,
    /// What counts as evidence.
    pub evidence: Evidence,
    /// The longest pause that a write of ours may cause for a connection.
    pub mute: Duration,
    /// A value from here on limits nobody: sentinels stand above it.
    pub sentinel_from: f64,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique in the policy.
    pub name: String,
    /// Who is looked at.
    pub select: Select,
    /// At which kind of entity it measures and acts.
    pub entity: Kind,
    /// What it limits.
    pub key: Key,
    /// What is compared with the thresholds.
    pub measure: Measure,
    /// Above this a sample is over.
    pub enter: f64,
    /// Below this a client is calm; less than `enter`.
    pub release: f64,
    /// `k` of the last `n` samples over: confirmed. 1 ≤ k ≤ n ≤ 64.
    pub confirm: Confirm,
    /// How far it goes.
    pub mode: Mode,
    /// What the client gets.
    pub limit: Limit,
    /// What it leaves every client.
    pub floor: Floor,
    /// How long.
    pub hold: HoldTimes,
    /// It acts only while this burns.
    pub when: Option<BudgetGuard>,
    /// The very high default that makes clients measurable, when it is allowed.
    pub sentinel: Option<f64>,
    /// What the clients' connections can add at once.
    pub burst: Burst,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What to read when it acts.
    pub runbook_url: Option<String>,
}

impl Rule {
    /// It measures, limits or spares clients by their baselines.
    #[must_use]
    pub fn needs_baselines(&self) -> bool {
        self.measure == Measure::TimesBaseline
            || matches!(self.limit, Limit::TimesBaseline(_))
            || self.floor.times_baseline.is_some()
    }
}

/// How far a rule goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Verdicts only.
    #[default]
    Observe,
    /// Verdicts that alert.
    Flag,
    /// Quotas.
    Enforce,
}

impl Mode {
    /// In files and labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Flag => "flag",
            Self::Enforce => "enforce",
        }
    }
}

/// Who is looked at: a client whose known parts match any pattern of each list that is not empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select {
    /// Patterns for users.
    pub users: Vec<Pattern>,
    /// Patterns for client ids.
    pub client_ids: Vec<Pattern>,
}

/// A name with `*` for any characters and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Pattern {
    /// The whole name fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        glob(&self.0, name)
    }
}

/// Greedy with one point to come back to: linear for one star, never exponential.
fn glob(pattern: &str, name: &str) -> bool {
    let (mut p, mut n) = (pattern.chars(), name.chars());
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let name_before = n.clone();
        let matched = match (p.next(), n.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                n = name_before;
                retry = Some((p.clone(), n.clone()));
                true
            }
            (Some('?'), Some(_)) => true,
            (Some(a), Some(b)) => a == b,
            _ => false,
        };
        if matched {
            continue;
        }
        // The last star takes one character more.
        let Some((after_star, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        p = after_star.clone();
        n = from.clone();
    }
}

impl Select {
    /// An entity with names is selected.
    #[must_use]
    pub fn selects(&self, entity: &Entity) -> bool {
        let fits = |patterns: &[Pattern], part: Option<&Part>| {
            patterns.is_empty()
                || matches!(part, Some(Part::Name(name)) if patterns.iter().any(|p| p.matches(name)))
        };
        fits(&self.users, entity.user_part()) && fits(&self.client_ids, entity.client_id_part())
    }
}

/// What is compared with a rule's thresholds.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// The sum over all brokers, in the key's unit.
    Total,
    /// The rate on the busiest of the client's brokers, in the key's unit.
    WorstBroker,
    /// The largest share that the client has of any broker's traffic, 0 to 1.
    ShareOfBroker,
    /// The client's share of the cluster's traffic, 0 to 1.
    ShareOfCluster,
    /// The sum over all brokers as a multiple of the client's own baseline.
    TimesBaseline,
    /// Any PromQL expression that returns entity labels; its values.
    Query(String),
}

/// `k` of the last `n` samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// So many.
    pub k: u32,
    /// Of so many.
    pub n: u32,
}

/// What a client gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Over all brokers together, in the key's unit.
    Total(f64),
    /// On each broker, in the key's unit.
    PerBroker(f64),
    /// A share of the cluster's traffic when the rule enters, 0 to 1.
    ShareOfCluster(f64),
    /// A multiple of the client's own baseline.
    TimesBaseline(f64),
}

/// What no throttle takes from a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// The lowest bound on any broker, in the key's unit.
    pub bound: f64,
    /// Over all brokers together at least this multiple of the client's own baseline. Where that is not known, nothing is
    /// tightened.
    pub times_baseline: Option<f64>,
}

/// How long a throttle lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldTimes {
    /// Not released before, however calm.
    pub minimum: Duration,
    /// After that, and a share of it that differs from client to client, it is probed whether the client has calmed down.
    pub duration: Duration,
    /// Each re-offence within `memory` multiplies `duration` by this.
    pub factor: u32,
    /// But never beyond this, which is also when a throttle ends whatever is known.
    pub longest: Duration,
    /// How long an offence is remembered after its end.
    pub memory: Duration,
}

impl HoldTimes {
    /// The duration for the `offence`-th time (first: 1).
    #[must_use]
    pub fn duration_of(&self, offence: u32) -> Duration {
        let factor = self.factor.max(1).saturating_pow(offence.saturating_sub(1).min(16));
        self.duration.saturating_mul(factor).min(self.longest)
    }
}

/// A rule acts only while the named SLO burns faster.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetGuard {
    /// The SLO's id, as in `sloth_id`.
    pub slo: String,
    /// Burn rate: 1 spends the budget in exactly its period.
    pub burn: f64,
}

/// What the connections of an entity can add to one broker's sensor when they all unmute together: `B` of the mute bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// Connections of the entity to one broker, at most.
    pub connections: u32,
    /// Bytes of one request (`max.request.size`) or fetch response (`fetch.max.bytes`), at most.
    pub request_bytes: f64,
}

impl Burst {
    /// Bytes.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        f64::from(self.connections) * self.request_bytes
    }
}

/// Whom no rule touches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Protected {
    /// Patterns for users.
    pub users: Vec<Pattern>,
    /// Patterns for client ids.
    pub client_ids: Vec<Pattern>,
}

impl Protected {
    /// The pattern that protects some connection of this entity, as far as names tell.
    #[must_use]
    pub fn find(&self, entity: &Entity) -> Option<String> {
        self.find_client(&entity.client())
    }

    /// The same of a client as its sensors' tags tell: a user whose clients include a protected client id is protected,
    /// for a quota of the user would bind that client too.
    #[must_use]
    pub fn find_client(&self, client: &Client) -> Option<String> {
        let hit = |what: &str, patterns: &[Pattern], name: Option<&str>| {
            let name = name?;
            patterns.iter().find(|p| p.matches(name)).map(|p| format!("{what} `{}`", p.0))
        };
        hit("user", &self.users, client.user.as_deref())
            .or_else(|| hit("client id", &self.client_ids, client.client_id.as_deref()))
    }
}

/// How much may be done at once. Beyond it: a page, and nothing is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Caps {
    /// Throttles at the same time.
    pub throttles: usize,
    /// Share of all known clients throttled at the same time, 0 to 1; one is always allowed.
    pub share_of_clients: f64,
    /// Share of the cluster's traffic (of the key) that throttled clients make up, 0 to 1.
    pub share_of_traffic: f64,
    /// Quota writes that tighten, a minute.
    pub changes_per_minute: usize,
}

/// What counts as evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Readings older than this are none.
    pub max_age: Duration,
    /// The share of brokers that must have been scraped.
    pub coverage: f64,
    /// How often Prometheus scrapes the brokers.
    pub scrape_interval: Duration,
    /// How many of these after a write settle.
    pub settle_scrapes: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*", "a", true),
            ("a*", "abc", true),
            ("a*c", "abcbc", true),
            ("a*c", "ab", false),
            ("?b", "ab", true),
            ("?b", "b", false),
            ("", "", true),
            ("", "a", false),
            ("a", "ab", false),
            ("*-*-x", "1-2-3-x", true),
            ("ü?", "üö", true),
        ] {
            assert_eq!(Pattern(pattern.to_owned()).matches(name), fits, "{pattern} {name}");
        }
        // Many stars cost no more than the product of the lengths.
        assert!(!Pattern("*a".repeat(30) + "b").matches(&"a".repeat(2000)));
    }
}
