//! What people ask for: pause, resume, exempt, release. Each gives the changes and records to write, and the acts to carry
//! out; like a decision, nothing is done here.

use serde_json::json;

use crate::audit::{Entry, Event};
use crate::decide::Act;
use crate::entity::{Entity, Kind};
use crate::ledger::{Change, Exemption, Fact, FactKey, Hold, Ledger, Pause, Phase};
use crate::quota::Key;
use crate::time::Timestamp;

/// Something a person asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Tighten nothing from now on.
    Pause,
    /// Go on.
    Resume,
    /// No rule touches this entity until then. What is held of it is released.
    Exempt {
        /// Who.
        entity: Entity,
        /// Until when.
        until: Timestamp,
    },
    /// End an exemption.
    EndExemption {
        /// Of whom.
        entity: Entity,
    },
    /// Give an entity back what it had; of one key, or of all.
    Release {
        /// Who.
        entity: Entity,
        /// Of what.
        key: Option<Key>,
    },
    /// Give everybody back what they had, sentinels included.
    ReleaseAll,
    /// Release what has expired.
    Reap,
}

/// What an order comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Changes of the ledger beside those of the acts.
    pub changes: Vec<Change>,
    /// Records beside those of the acts.
    pub entries: Vec<Entry>,
    /// Quota writes.
    pub acts: Vec<Act>,
    /// In words, for the one who asked.
    pub said: Vec<String>,
    /// What is not done though it was asked for, in words.
    pub faults: Vec<String>,
}

/// Why an order comes to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing to release.
    #[error("no quota of ours stands for {0}; `status` lists those that do")]
    NotHeld(Entity),
    /// There is nothing to end.
    #[error("{0} is not exempted")]
    NotExempted(Entity),
    /// It stands already.
    #[error("enforcement is paused already, by {0}")]
    Paused(String),
    /// It does not stand.
    #[error("enforcement is not paused")]
    NotPaused,
    /// It would end before it begins.
    #[error("an exemption ends in the future")]
    Past,
}

/// Works an order out. `by` is who asks, `reason` why.
///
/// # Errors
/// When it makes no sense as things stand.
pub fn plan(order: &Order, ledger: &Ledger, by: &str, reason: &str, now: Timestamp) -> Result<Plan, Refused> {
    let entry = |event, why: String| Entry {
        at: now,
        event,
        by: by.to_owned(),
        slot: None,
        before: None,
        after: None,
        why,
        evidence: serde_json::Value::Null,
        policy: String::new(),
    };
    let mut plan = Plan::default();
    match order {
        Order::Pause => {
            if let Some(pause) = &ledger.pause {
                return Err(Refused::Paused(pause.by.clone()));
            }
            let pause = Pause { since: now, by: by.to_owned(), reason: reason.to_owned() };
            plan.changes.push(Change::Put(Fact::Pause(pause)));
            plan.entries.push(entry(Event::Paused, reason.to_owned()));
            plan.said.push(
                "paused: nothing is tightened until `resume`; what is held is kept and ends in time"
                    .to_owned(),
            );
        }
        Order::Resume => {
            ledger.pause.as_ref().ok_or(Refused::NotPaused)?;
            plan.changes.push(Change::Remove(FactKey::Pause));
            plan.entries.push(entry(Event::Resumed, reason.to_owned()));
            plan.said.push("resumed".to_owned());
        }
        Order::Exempt { entity, until } => {
            if *until <= now {
                return Err(Refused::Past);
            }
            let exemption = Exemption {
                entity: entity.clone(),
                until: *until,
                by: by.to_owned(),
                reason: reason.to_owned(),
            };
            plan.changes.push(Change::Put(Fact::Exemption(exemption)));
            let record = Entry {
                evidence: json!({ "entity": entity, "until": until }),
                ..entry(Event::Exempted, reason.to_owned())
            };
            plan.entries.push(record);
            plan.said.push(format!("{entity} is exempted"));
            if entity.kind() != Kind::User {
                plan.said.push(
                    "a quota of its user is kept off it as far as the brokers' series name this client id"
                        .to_owned(),
                );
            }
            // What the exemption covers and is held is freed by the same order, not by the next tick.
            let after = {
                let mut after = ledger.clone();
                plan.changes.iter().cloned().for_each(|change| after.apply(change));
                after
            };
            let covered =
                ledger.throttles().filter(|hold| after.exemption(&hold.slot.entity.client(), now).is_some());
            release_all(covered.collect(), &mut plan, by, reason, now);
        }
        Order::EndExemption { entity } => {
            ledger.exemptions.get(entity).ok_or_else(|| Refused::NotExempted(entity.clone()))?;
            plan.changes.push(Change::Remove(FactKey::Exemption { entity: entity.clone() }));
            let record = Entry {
                evidence: json!({ "entity": entity }),
                ..entry(Event::ExemptionEnded, reason.to_owned())
            };
            plan.entries.push(record);
            plan.said.push(format!("{entity} is not exempted any more"));
        }
        Order::Release { entity, key } => {
            let held: Vec<&Hold> = ledger
                .holds
                .values()
                .filter(|hold| hold.slot.entity == *entity && key.is_none_or(|key| key == hold.slot.key))
                .collect();
            if held.is_empty() {
                return Err(Refused::NotHeld(entity.clone()));
            }
            release_all(held, &mut plan, by, reason, now);
            if !plan.acts.is_empty() {
                plan.said.push(format!(
                    "if {entity} still takes too much, the next confirmation throttles it again (`exempt` prevents that)"
                ));
            }
        }
        Order::ReleaseAll => {
            release_all(ledger.holds.values().collect(), &mut plan, by, reason, now);
            plan.said.push(format!("{} of {} quotas are given back", plan.acts.len(), ledger.holds.len()));
        }
        Order::Reap => {
            let expired: Vec<&Hold> = ledger.holds.values().filter(|hold| hold.expires <= now).collect();
            plan.said.push(format!("{} of {} holds had expired", expired.len(), ledger.holds.len()));
            release_all(expired, &mut plan, by, "it expired", now);
        }
    }
    for act in &plan.acts {
        let what = if act.forget { "hands are off no more from" } else { "gives back" };
        plan.said.push(format!("{what} {}", act.hold.slot));
    }
    Ok(plan)
}

fn release_all(holds: Vec<&Hold>, plan: &mut Plan, by: &str, reason: &str, now: Timestamp) {
    for hold in holds {
        if hold.intent.is_some() {
            // It may stand or not, and may yet come.
            plan.faults.push(format!(
                "{} is not released: a write of it has no answer yet, and is settled within about two minutes; ask again then",
                hold.slot
            ));
        } else {
            plan.acts.push(release(hold, by, reason, now));
        }
    }
}

/// Gives back what stood before; where a human took over, there is nothing to give back, and the hold is forgotten.
fn release(hold: &Hold, by: &str, reason: &str, now: Timestamp) -> Act {
    let why = format!("released by {by}: {reason}");
    let evidence = json!({ "ours": hold.ours });
    match hold.phase {
        Phase::Lost => Act::forget(hold, why, evidence),
        _ => Act::release(hold, why, evidence, now),
    }
}

/// Exemptions and offences that are over.
#[must_use]
pub fn expired(ledger: &Ledger, now: Timestamp) -> Vec<Change> {
    let exemptions = ledger.exemptions.values().filter(|exemption| exemption.until <= now);
    let exemptions = exemptions.map(|exemption| FactKey::Exemption { entity: exemption.entity.clone() });
    let offences = ledger.offences.values().filter(|offence| offence.forget <= now);
    let offences = offences.map(|offence| FactKey::Offence(offence.slot.clone()));
    exemptions.chain(offences).map(Change::Remove).collect()
}

#[cfg(test)]
mod tests;
