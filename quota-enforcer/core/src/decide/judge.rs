//! A confirmed client: what would be done about it, or what keeps that from being done.

use serde_json::json;

use super::act::{evidence, sized, value};
use super::measure::{Measured, baseline, burn};
use super::spread::spread;
use super::{Act, Block, Scene, State, Verdict, slot, words};
use crate::allot;
use crate::audit::Event;
use crate::entity::Entity;
use crate::hazard;
use crate::ledger::{Hold, Purpose};
use crate::policy::{Limit, Mode, Rule};
use crate::step;
use crate::time::millis;
use crate::usage::{Unknown, human};

/// A client that a rule would throttle, were there no caps.
pub(super) struct Proposal {
    pub(super) act: Act,
    pub(super) verdict: Verdict,
    /// What it uses now over all brokers, in the key's unit.
    pub(super) traffic: f64,
}

/// Judges by the rule's mode. `over`: its last sample is over the threshold; `rise`: by how much its sensor may have grown
/// when a write takes effect.
pub(super) fn judge(
    scene: &Scene<'_>,
    rule: &Rule,
    entity: &Entity,
    measured: &Measured,
    over: bool,
    rise: f64,
) -> Result<Proposal, Box<Verdict>> {
    let told = |why: String| {
        let state = if rule.mode == Mode::Observe { State::Observed } else { State::Flagged };
        Err(Box::new(Verdict::of(rule, entity, state, why).measured(measured)))
    };
    let spared =
        spares(scene, rule, entity).map(|by| Box::new(Verdict::blocked(rule, entity, by).measured(measured)));
    if rule.mode > Mode::Observe
        && let Some(verdict) = spared
    {
        return Err(verdict);
    }
    let (now, enter) = (value(rule, measured.value), value(rule, rule.enter));
    if !over {
        return told(format!("{now} after it was above {enter}"));
    }
    let throttle = spared.map_or_else(|| throttle(scene, rule, entity, measured, rise), Err);
    if rule.mode == Mode::Enforce {
        return throttle;
    }
    let would = match &throttle {
        Ok(Proposal { act, .. }) => {
            let human = |bound: f64| human(rule.key, bound);
            let first = act.hold.intent.and_then(|intent| intent.to).map(human).unwrap_or_default();
            format!("would set a bound of {first} on each broker, {} in the end", human(act.hold.target))
        }
        Err(verdict) => format!("would not throttle it: {}", verdict.why),
    };
    told(format!("{now} is above {enter}; mode enforce {would}"))
}

/// What a rule that enforces does.
fn throttle(
    scene: &Scene<'_>,
    rule: &Rule,
    entity: &Entity,
    measured: &Measured,
    rise: f64,
) -> Result<Proposal, Box<Verdict>> {
    let block = |by| Box::new(Verdict::blocked(rule, entity, by).measured(measured));
    let not_known = |reason| Box::new(Verdict::unknown(rule, Some(entity.clone()), reason));
    if let Some(guard) = &rule.when {
        let burn = burn(scene, guard).map_err(not_known)?;
        if burn <= guard.burn {
            return Err(block(Block::Budget { burn }));
        }
    }
    let slot = slot(rule, entity);
    if let Some(by) = scene.forbids(&slot) {
        return Err(block(by));
    }
    let (limit, wanted) = target(scene, rule, entity, measured).map_err(not_known)?;
    let Some(wanted) = wanted else { return Err(block(Block::WithinLimit)) };
    let floor = scene.floor(rule, entity, &measured.rates).map_err(not_known)?;
    let too_low = || block(Block::Floor { floor: Some(floor).filter(|floor| floor.is_finite()) });
    let target = rule.key.rounded(wanted.max(floor));
    let worst = measured.rates.worst();
    if target >= worst {
        return Err(too_low());
    }
    let lately = measured.rates.peak().max(worst);
    let peak = lately + rise;
    let safety = scene.safety(rule);
    let step = |peak: f64| {
        let step = step::next(peak, None, target, floor, &safety, rule.key);
        step.filter(|step| step.to < worst)
    };
    let step = step(peak).ok_or_else(|| {
        let mute_ms = millis(safety.bound);
        if step(lately).is_some() {
            block(Block::Rising { mute_ms })
        } else if step(worst).is_some() {
            block(Block::Falling { mute_ms })
        } else {
            too_low()
        }
    })?;
    let members = scene.members(rule, entity);
    let hazards = scene
        .quotas
        .get(&rule.key)
        .map_or_else(Vec::new, |quotas| hazard::check(quotas, entity, step.to, None, &members, scene.policy));
    if !hazards.is_empty() {
        return Err(block(Block::Hazards { hazards: words(&hazards) }));
    }

    let offence = scene.ledger.offence_number(&slot, scene.now);
    let expires = scene.now + rule.hold.longest;
    let until = (scene.now + spread(&slot, rule.hold.duration_of(offence))).min(expires);
    let hold = Hold {
        owner: rule.owner.clone(),
        target,
        limit,
        caught_at_rate: peak,
        caught_at_total: measured.rates.total(),
        earliest: scene.now + rule.hold.minimum,
        until,
        expires,
        offence,
        memory: rule.hold.memory,
        policy: scene.policy.version.clone(),
        ..Hold::begun(slot, Purpose::Throttle, &rule.name, step.to, scene.now)
    };
    let why = format!(
        "{} is above {} in {} of the last {} samples: a bound of {} on each broker, {} in the end",
        value(rule, measured.value),
        value(rule, rule.enter),
        rule.confirm.k,
        rule.confirm.n,
        human(rule.key, step.to),
        human(rule.key, target)
    );
    let mut evidence = sized(evidence(rule, measured, &hold), peak, floor, &safety, &step);
    if let (Some(fields), Some(guard)) = (evidence.as_object_mut(), &rule.when) {
        fields.insert(
            "slo".to_owned(),
            json!({ "id": guard.slo, "burn": scene.observation.burns.get(&guard.slo) }),
        );
    }
    let verdict = Verdict::of(rule, entity, State::Caught, why.clone()).measured(measured);
    let act = Act { hold, forget: false, event: Event::Intent, why, evidence };
    Ok(Proposal { act, verdict, traffic: measured.rates.total() })
}

/// Why no rule touches the entity.
fn spares(scene: &Scene<'_>, rule: &Rule, entity: &Entity) -> Option<Block> {
    let protected = protects(scene, rule, entity).map(|pattern| Block::Protected { pattern });
    let exempt = || scene.exemption(rule, entity);
    protected.or_else(|| exempt().map(|exemption| Block::Exempt { until: exemption.until }))
}

/// A pattern that protects the entity or a client that its quota would bind.
fn protects(scene: &Scene<'_>, rule: &Rule, entity: &Entity) -> Option<String> {
    let protected = &scene.policy.protected;
    protected
        .find(entity)
        .or_else(|| scene.members(rule, entity).into_iter().find_map(|client| protected.find_client(client)))
}

/// The limit over all brokers, if the rule has one, and the bound on each broker; no bound when it would bind nothing.
fn target(
    scene: &Scene<'_>,
    rule: &Rule,
    entity: &Entity,
    measured: &Measured,
) -> Result<(Option<f64>, Option<f64>), Unknown> {
    let limit = match rule.limit {
        Limit::PerBroker(bound) => return Ok((None, Some(bound))),
        Limit::Total(limit) => limit,
        Limit::ShareOfCluster(share) => {
            let totals = scene.index(rule.key)?.totals(&scene.needs(measured.rates.at), scene.now)?;
            share * totals.values().sum::<f64>()
        }
        Limit::TimesBaseline(factor) => factor * baseline(scene, rule, entity)?,
    };
    Ok((Some(limit), allot::per_broker(limit, &measured.rates.by_broker())))
}
