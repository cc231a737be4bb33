//! How much may be done at once. When more than that wants to be done, something else is wrong (a rule, a unit, the
//! metrics): nothing new is done, and a page says so.

use std::collections::BTreeMap;

use super::judge::Proposal;
use super::{Block, Cap, Memory, Outcome, Scene, State, Verdict};
use crate::quota::Key;
use crate::usage::Unknown;

/// Lets all proposals through, or none of those that would pass a cap.
pub(super) fn admit(scene: &Scene<'_>, memory: &Memory, proposals: Vec<Proposal>, outcome: &mut Outcome) {
    let mut wanted: BTreeMap<Key, Vec<Proposal>> = BTreeMap::new();
    for proposal in first_per_slot(proposals, outcome) {
        wanted.entry(proposal.act.hold.slot.key).or_default().push(proposal);
    }
    let new: usize = wanted.values().map(Vec::len).sum();
    let steps = outcome.acts.iter().filter(|act| act.tightens()).count();
    let over_all = if new == 0 {
        None
    } else if scene.ledger.throttles().count() + new > scene.policy.caps.throttles {
        Some(Cap::Throttles)
    } else if memory.changes.count() + steps + new > scene.policy.caps.changes_per_minute {
        Some(Cap::ChangesPerMinute)
    } else {
        None
    };
    for (key, proposals) in wanted {
        match over_all.map_or_else(|| over_shares(scene, key, &proposals), |cap| Ok(Some(cap))) {
            Ok(None) => {
                for proposal in proposals {
                    outcome.verdicts.push(proposal.verdict);
                    outcome.acts.push(proposal.act);
                }
            }
            Ok(Some(cap)) => refuse(proposals, cap, outcome),
            Err(reason) => not_known(scene, proposals, &reason, outcome),
        }
    }
    hold_steps(scene, memory, outcome);
}

/// The first rule that wants a slot has it.
fn first_per_slot(proposals: Vec<Proposal>, outcome: &mut Outcome) -> Vec<Proposal> {
    let mut taken: BTreeMap<_, String> = BTreeMap::new();
    let mut kept = Vec::new();
    for proposal in proposals {
        if let Some(rule) = taken.get(&proposal.act.hold.slot) {
            outcome.verdicts.push(proposal.verdict.but(Block::OtherRule { rule: rule.clone() }));
        } else {
            taken.insert(proposal.act.hold.slot.clone(), proposal.act.hold.rule.clone());
            kept.push(proposal);
        }
    }
    kept
}

/// The share that these would pass; an error where it is not known of what it would be a share.
fn over_shares(scene: &Scene<'_>, key: Key, proposals: &[Proposal]) -> Result<Option<Cap>, Unknown> {
    let caps = &scene.policy.caps;
    let index = scene.index(key)?;
    let held: Vec<_> = scene.ledger.throttles().filter(|hold| hold.slot.key == key).collect();
    let throttled = held.len() + proposals.len();
    let clients = clients(scene, key);
    if throttled > 1 && throttled as f64 > caps.share_of_clients * clients as f64 {
        return Ok(Some(Cap::ShareOfClients));
    }
    let totals = index.totals(&scene.needs(crate::time::Timestamp(i64::MIN)), scene.now)?;
    let total: f64 = totals.values().sum();
    // What held clients used when they were caught is what they would use.
    let traffic: f64 = proposals.iter().map(|proposal| proposal.traffic).sum::<f64>()
        + held.iter().map(|hold| hold.caught_at_total.min(total)).sum::<f64>();
    Ok((traffic > caps.share_of_traffic * total).then_some(Cap::ShareOfTraffic))
}

/// Distinct tag sets of the key's sensors.
fn clients(scene: &Scene<'_>, key: Key) -> usize {
    let Ok(index) = scene.index(key) else { return 0 };
    let tags: std::collections::BTreeSet<_> = index.readings().map(|reading| &reading.client).collect();
    tags.len()
}

fn refuse(proposals: Vec<Proposal>, cap: Cap, outcome: &mut Outcome) {
    if !outcome.capped.contains(&cap) {
        outcome.capped.push(cap);
    }
    outcome.verdicts.extend(proposals.into_iter().map(|proposal| proposal.verdict.but(Block::Cap { cap })));
}

/// Too little is known to say whether a cap is reached: the clients are unknown, and so are their rules as a whole, for these can
/// throttle nobody.
fn not_known(scene: &Scene<'_>, proposals: Vec<Proposal>, reason: &Unknown, outcome: &mut Outcome) {
    let told = |outcome: &Outcome, rule: &str| {
        let state = State::Unknown { reason: reason.clone() };
        let whole = |verdict: &Verdict| verdict.entity.is_none() && verdict.state == state;
        outcome.verdicts.iter().any(|verdict| verdict.rule == rule && whole(verdict))
    };
    for proposal in proposals {
        if let Some(rule) = scene.rule(&proposal.verdict.rule).filter(|rule| !told(outcome, &rule.name)) {
            outcome.verdicts.push(Verdict::unknown(rule, None, reason.clone()));
        }
        outcome.verdicts.push(proposal.verdict.but_unknown(reason.clone()));
    }
}

/// Steps of holds that would pass the cap on changes wait for the next tick, in the order of their slots.
fn hold_steps(scene: &Scene<'_>, memory: &Memory, outcome: &mut Outcome) {
    let mut left = scene.policy.caps.changes_per_minute.saturating_sub(memory.changes.count());
    let mut waiting = false;
    outcome.acts.retain(|act| {
        if !act.tightens() {
            return true;
        }
        let fits = left > 0;
        left = left.saturating_sub(1);
        waiting |= !fits;
        fits
    });
    if waiting && !outcome.capped.contains(&Cap::ChangesPerMinute) {
        outcome.capped.push(Cap::ChangesPerMinute);
    }
}
