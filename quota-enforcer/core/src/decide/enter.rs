//! Rules look at their clients, and say whom they would throttle.

use std::collections::BTreeSet;

use serde_json::json;

use super::act::{evidence, value};
use super::measure::{self, Measured, baseline, burn, measure};
use super::spread::spread;
use super::{Act, Block, Memory, Outcome, Scene, State, Verdict, slot, words};
use crate::allot;
use crate::audit::Event;
use crate::entity::{Client, Entity, Kind};
use crate::hazard;
use crate::ledger::{Hold, Intent, Phase, Purpose};
use crate::policy::{Limit, Mode, Rule};
use crate::step;
use crate::usage::{Reading, Unknown, human};

/// A client that a rule would throttle, were there no caps.
pub(super) struct Proposal {
    pub(super) act: Act,
    pub(super) verdict: Verdict,
    /// What it uses now over all brokers, in the key's unit.
    pub(super) traffic: f64,
}

/// Of all rules.
pub(super) fn proposals(scene: &Scene<'_>, memory: &mut Memory, outcome: &mut Outcome) -> Vec<Proposal> {
    let mut found = Vec::new();
    for rule in &scene.policy.rules {
        look(scene, rule, memory, outcome, &mut found);
    }
    found
}

fn look(
    scene: &Scene<'_>,
    rule: &Rule,
    memory: &mut Memory,
    outcome: &mut Outcome,
    found: &mut Vec<Proposal>,
) {
    let not_before = memory.settled(rule.key);
    let needs = scene.needs(not_before);
    let checked = scene.index(rule.key).and_then(|index| index.coverage(&needs, scene.now).map(|_| index));
    let index = match checked {
        Ok(index) => index,
        Err(reason) => return outcome.verdicts.push(Verdict::unknown(rule, None, reason)),
    };
    let entities = candidates(rule, &index.usage().readings);
    outcome.seen.insert(rule.name.clone(), entities.len());
    if entities.is_empty()
        && !index.usage().readings.iter().any(|reading| tells(rule.entity, &reading.client))
    {
        return outcome.verdicts.push(Verdict::unknown(rule, None, Unknown::NoSeries));
    }
    let lacks = measure::lacks(scene, rule, &entities).into_iter();
    outcome.verdicts.extend(lacks.map(|reason| Verdict::unknown(rule, None, reason)));
    let totals = index.totals(&needs, scene.now);
    for entity in &entities {
        if let Some(hold) = scene.ledger.holds.get(&slot(rule, entity)) {
            // Its own hold was tended already.
            if hold.rule != rule.name {
                let by = Block::OtherRule { rule: hold.rule.clone() };
                outcome.verdicts.push(blocked(rule, entity, None, by));
            }
            continue;
        }
        let measured = match measure(scene, rule, entity, not_before, &totals) {
            Ok(measured) => measured,
            Err(reason) => {
                outcome.verdicts.push(Verdict::unknown(rule, Some(entity.clone()), reason));
                continue;
            }
        };
        let over = measured.value > rule.enter;
        let calm = measured.value <= rule.release;
        let key = (rule.name.clone(), entity.clone());
        let gap = scene.gap(rule);
        let track = memory.tracks.entry(key).or_default();
        let confirmed = track.push(&measured.rates, over, calm, rule.confirm, gap);
        let count = track.over_count(rule.confirm);
        let rise = track.rise(&measured.rates, scene.now, scene.window.longest);
        if !confirmed {
            if over {
                outcome.verdicts.push(not_yet(rule, entity, &measured, count));
            }
            continue;
        }
        match judge(scene, rule, entity, &measured, over, rise) {
            Ok(proposal) => found.push(proposal),
            Err(verdict) => outcome.verdicts.push(*verdict),
        }
    }
}

/// The tags are enough to know entities of this kind by.
fn tells(kind: Kind, client: &Client) -> bool {
    match kind {
        Kind::User => client.user.is_some(),
        Kind::ClientId => client.client_id.is_some(),
        Kind::Pair => client.user.is_some() && client.client_id.is_some(),
    }
}

fn entity_of(kind: Kind, client: &Client) -> Option<Entity> {
    match (kind, &client.user, &client.client_id) {
        (Kind::User, Some(user), _) => Some(Entity::user(user)),
        (Kind::ClientId, _, Some(client_id)) => Some(Entity::client_id(client_id)),
        (Kind::Pair, Some(user), Some(client_id)) => Some(Entity::pair(user, client_id)),
        _ => None,
    }
}

fn candidates(rule: &Rule, readings: &[Reading]) -> BTreeSet<Entity> {
    readings
        .iter()
        .filter_map(|reading| entity_of(rule.entity, &reading.client))
        .filter(|entity| rule.select.selects(entity))
        .collect()
}

/// A confirmed client: what would be done, or what keeps it from being done.
fn judge(
    scene: &Scene<'_>,
    rule: &Rule,
    entity: &Entity,
    measured: &Measured,
    over: bool,
    rise: f64,
) -> Result<Proposal, Box<Verdict>> {
    let block = |by| Box::new(blocked(rule, entity, Some(measured), by));
    let not_known = |reason| Box::new(Verdict::unknown(rule, Some(entity.clone()), reason));
    let spared = spares(scene, rule, entity);
    if rule.mode == Mode::Observe {
        return Err(Box::new(observed(rule, entity, measured, over, spared)));
    }
    if let Some(by) = spared {
        return Err(block(by));
    }
    if rule.mode < Mode::Enforce || !over {
        return Err(Box::new(flagged(rule, entity, measured, over)));
    }
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
    let peak = measured.rates.peak().max(worst) + rise;
    let step = step::next(peak, None, target, floor, &scene.safety(rule), rule.key);
    let step = step.filter(|step| step.to < worst).ok_or_else(too_low)?;
    let members: Vec<&Client> = members(scene, rule, entity);
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
        slot,
        purpose: Purpose::Throttle,
        rule: rule.name.clone(),
        owner: rule.owner.clone(),
        prior: None,
        ours: None,
        intent: Some(Intent { from: None, to: Some(step.to), at: scene.now }),
        phase: Phase::Cutting,
        target,
        limit,
        caught_at_rate: peak,
        since: scene.now,
        earliest: scene.now + rule.hold.minimum,
        until,
        expires,
        offence,
        memory: rule.hold.memory,
        written: None,
        verified: None,
        ineffective: None,
        policy: scene.policy.version.clone(),
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
    let mut evidence = evidence(rule, measured, &hold);
    if let (Some(fields), Some(guard)) = (evidence.as_object_mut(), &rule.when) {
        fields.insert(
            "slo".to_owned(),
            json!({ "id": guard.slo, "burn": scene.observation.burns.get(&guard.slo) }),
        );
    }
    let verdict = Verdict {
        rule: rule.name.clone(),
        entity: Some(entity.clone()),
        key: rule.key,
        state: State::Caught,
        value: Some(measured.value),
        rates: Some(measured.rates.clone()),
        why: why.clone(),
    };
    let act = Act { hold, forget: false, event: Event::Intent, why, evidence };
    Ok(Proposal { act, verdict, traffic: measured.rates.total() })
}

/// Why no rule touches the entity.
fn spares(scene: &Scene<'_>, rule: &Rule, entity: &Entity) -> Option<Block> {
    let protected = protects(scene, rule, entity).map(|pattern| Block::Protected { pattern });
    let exempt = || scene.ledger.exemption(entity, scene.now);
    protected.or_else(|| exempt().map(|exemption| Block::Exempt { until: exemption.until }))
}

/// A pattern that protects the entity or a client that its quota would bind.
fn protects(scene: &Scene<'_>, rule: &Rule, entity: &Entity) -> Option<String> {
    let protected = &scene.policy.protected;
    protected
        .find(entity)
        .or_else(|| members(scene, rule, entity).into_iter().find_map(|client| protected.find_client(client)))
}

/// The tags of the sensors of the rule's key that the entity covers: whoever a quota would bind, as far as it has such a sensor.
pub(super) fn members<'s>(scene: &'s Scene<'_>, rule: &Rule, entity: &'s Entity) -> Vec<&'s Client> {
    let index = scene.index(rule.key).ok();
    index.into_iter().flat_map(|index| index.readings_of(entity)).map(|reading| &reading.client).collect()
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

fn blocked(rule: &Rule, entity: &Entity, measured: Option<&Measured>, by: Block) -> Verdict {
    Verdict {
        rule: rule.name.clone(),
        entity: Some(entity.clone()),
        key: rule.key,
        why: by.to_string(),
        state: State::Blocked { by },
        value: measured.map(|measured| measured.value),
        rates: measured.map(|measured| measured.rates.clone()),
    }
}

/// As [`flagged`], for a rule that tells nobody; and what would spare the client if the rule did more.
fn observed(rule: &Rule, entity: &Entity, measured: &Measured, over: bool, spared: Option<Block>) -> Verdict {
    let verdict = flagged(rule, entity, measured, over);
    let why = match spared {
        Some(by) => format!("{}; it would be spared: {by}", verdict.why),
        None => verdict.why,
    };
    Verdict { state: State::Observed, why, ..verdict }
}

fn flagged(rule: &Rule, entity: &Entity, measured: &Measured, over: bool) -> Verdict {
    let why = if over {
        format!(
            "{} is above {}; the rule's mode goes no further",
            value(rule, measured.value),
            value(rule, rule.enter)
        )
    } else {
        format!("{} after it was above {}", value(rule, measured.value), value(rule, rule.enter))
    };
    Verdict { state: State::Flagged, why, ..blocked(rule, entity, Some(measured), Block::Paused) }
}

fn not_yet(rule: &Rule, entity: &Entity, measured: &Measured, count: u32) -> Verdict {
    let why = format!(
        "{} is above {} in {count} of the last {} samples; {} are needed",
        value(rule, measured.value),
        value(rule, rule.enter),
        rule.confirm.n,
        rule.confirm.k
    );
    Verdict { state: State::Over, why, ..blocked(rule, entity, Some(measured), Block::Paused) }
}
