//! Sentinels: where clients have no series until a quota exists, a default that is too high to bind anyone.

use serde_json::json;

use super::{Act, Block, Outcome, Scene, State, Verdict};
use crate::audit::Event;
use crate::entity::Entity;
use crate::hazard;
use crate::ledger::{Hold, Phase, Purpose};
use crate::policy::{Mode, Rule};
use crate::quota::Slot;
use crate::time::Timestamp;

/// The default at the rule's level.
pub(super) fn slot(rule: &Rule) -> Slot {
    Slot { entity: Entity::default_of(rule.entity), key: rule.key }
}

/// The default that stands there for the first rule that wants one.
pub(super) fn value(scene: &Scene<'_>, at: &Slot) -> Option<f64> {
    scene.policy.rules.iter().filter(|rule| slot(rule) == *at).find_map(asked)
}

/// The default that a rule wants, as Kafka takes it.
fn asked(rule: &Rule) -> Option<f64> {
    let value = rule.sentinel.filter(|_| rule.mode > Mode::Observe)?;
    Some(rule.key.rounded(value))
}

/// Sets those that rules want and nothing forbids.
pub(super) fn wanted(scene: &Scene<'_>, outcome: &mut Outcome) {
    for rule in &scene.policy.rules {
        let Some(value) = asked(rule) else { continue };
        let slot = slot(rule);
        // Whatever stands there makes the clients measurable.
        let planned = outcome.acts.iter().any(|act| act.hold.slot == slot);
        if planned || scene.snapshot.get(&slot).is_some() || scene.ledger.holds.contains_key(&slot) {
            continue;
        }
        let hazards = scene.quotas.get(&rule.key).map_or_else(Vec::new, |quotas| {
            hazard::check_sentinel(quotas, &slot.entity, value, scene.policy)
        });
        let hazards = Some(super::words(&hazards)).filter(|hazards| !hazards.is_empty());
        if let Some(by) = scene.forbids(&slot).or(hazards.map(|hazards| Block::Hazards { hazards })) {
            let why = format!("no sentinel at {slot}: {by}");
            outcome.verdicts.push(Verdict::of_rule(rule, State::Blocked { by }, why));
            continue;
        }
        outcome.acts.push(Act {
            hold: hold(scene, rule, slot, value),
            forget: false,
            event: Event::Intent,
            why: "clients of this kind have no series before a quota stands here; this one binds nobody"
                .to_owned(),
            evidence: json!({ "sentinel": value }),
        });
    }
}

fn hold(scene: &Scene<'_>, rule: &Rule, slot: Slot, value: f64) -> Hold {
    let forever = Timestamp(i64::MAX);
    Hold {
        owner: rule.owner.clone(),
        phase: Phase::Holding,
        until: forever,
        expires: forever,
        offence: 0,
        policy: scene.policy.version.clone(),
        ..Hold::begun(slot, Purpose::Sentinel, &rule.name, value, scene.now)
    }
}
