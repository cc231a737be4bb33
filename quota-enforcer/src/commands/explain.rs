//! `quota-enforcer explain`: everything that is known of one entity.

use std::io::{self, Write};
use std::process::ExitCode;

use quota_enforcer_core::entity::Entity;
use quota_enforcer_core::ledger::Phase;
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::human;

use super::reach::{Reach, reach};
use super::text::{quota, relative, span, under_way};
use crate::app::Io;
use crate::cli::{OutputArg, ReachArgs};
use crate::views::explain::{Bound, Explanation, OfKey, OfRule};

/// Flags of `explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    quota-enforcer explain user=alice\n  \
    quota-enforcer explain 'user=alice,client-id=loader'\n  \
    quota-enforcer explain 'client-id=<default>' --output json")]
pub struct Args {
    /// user=NAME, client-id=NAME or user=NAME,client-id=NAME; `<default>` for a default
    pub entity: Entity,
    /// Who is asked.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Shows it.
///
/// # Errors
/// Neither a daemon nor Kafka and Prometheus can be asked.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let explanation = match reach(&args.reach).await? {
        Reach::Api(client) => {
            let entity = args.entity.to_string();
            client.get::<Explanation>("entities", &[("entity", &entity)]).await?
        }
        Reach::Direct(world) => world.explain(&args.entity).await?,
    };
    match args.reach.output {
        OutputArg::Json => super::json(io, &explanation)?,
        OutputArg::Text => render(&explanation, io.stdout)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// For people.
///
/// # Errors
/// The stream's.
pub fn render(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let now = explanation.at;
    writeln!(out, "{}, at {}", explanation.entity, now)?;
    if let Some(pattern) = &explanation.protected {
        writeln!(out, "  protected by {pattern}: no rule touches it")?;
    }
    if let Some(exemption) = &explanation.exemption {
        writeln!(
            out,
            "  exempted until {} ({}) by {}: {}",
            exemption.until,
            relative(exemption.until, now),
            exemption.by,
            exemption.reason
        )?;
    }
    for fault in &explanation.faults {
        writeln!(out, "  fault: {fault}")?;
    }
    explanation.keys.iter().try_for_each(|key| of_key(key, now, out))
}

fn of_key(of: &OfKey, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{}", of.key)?;
    let bound = |bound: &Bound| format!("{} of {}", human(of.key, bound.value), bound.entity);
    match (&of.binds, of.quotas_known) {
        (_, false) => writeln!(out, "  binds     not known: the quotas could not be read")?,
        (None, true) => writeln!(out, "  binds     nothing")?,
        (Some(binds), true) => writeln!(out, "  binds     {} on each broker", bound(binds))?,
    }
    for hidden in &of.shadowed {
        writeln!(out, "  shadowed  {}", bound(hidden))?;
    }
    for unsure in &of.unsure {
        writeln!(out, "  unsure    {} may bind some of its connections instead", bound(unsure))?;
    }
    usage(of, now, out)?;
    for rule in &of.rules {
        writeln!(out, "  rule      {}", in_words(rule, of))?;
    }
    if let Some(hold) = &of.hold {
        let until = if hold.until > now {
            format!("probed {}", relative(hold.until, now))
        } else {
            "probed from now on".to_owned()
        };
        let standing = match hold.ours {
            Some(ours) => format!("{} on each broker", human(of.key, ours)),
            None if hold.phase == Phase::Lost => "nothing of ours any more".to_owned(),
            None => "nothing of ours yet".to_owned(),
        };
        writeln!(
            out,
            "  held      {} by rule {}: {standing} of {} wanted, before us {}; since {}, {until}, ends {}",
            hold.phase.name(),
            hold.rule,
            human(of.key, hold.target),
            quota(of.key, hold.prior),
            hold.since,
            relative(hold.expires, now)
        )?;
        if let Some(intent) = &hold.intent {
            let write = under_way(of.key, intent, now);
            writeln!(out, "  intent    {write}: not settled yet, nothing else is done with this quota")?;
        }
    }
    if let Some(offence) = &of.offence {
        writeln!(
            out,
            "  offences  {}, the last ended {}, forgotten {}",
            offence.count,
            relative(offence.ended, now),
            relative(offence.forget, now)
        )?;
    }
    if let Some(write) = &of.write {
        let to = human(of.key, write.to);
        if write.hazards.is_empty() {
            writeln!(out, "  a write   of {to} would bind it and nobody else")?;
        }
        for hazard in &write.hazards {
            writeln!(out, "  a write   of {to}: {hazard}")?;
        }
    }
    Ok(())
}

fn usage(of: &OfKey, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    match &of.unknown {
        Some(why) => writeln!(out, "  usage     UNKNOWN: {why}")?,
        None => {
            let total = of.usage.iter().filter_map(|on| on.rate).fold(0.0, |sum, rate| sum + rate);
            writeln!(out, "  usage     {} over {} brokers", human(of.key, total), of.usage.len())?;
        }
    }
    for on in &of.usage {
        let rate =
            |rate: Option<f64>| rate.map_or_else(|| "no number".to_owned(), |rate| human(of.key, rate));
        writeln!(
            out,
            "    broker {}: {}, peak {}, {} old",
            on.broker,
            rate(on.rate),
            rate(on.peak),
            span(now.since(on.at))
        )?;
    }
    Ok(())
}

fn in_words(rule: &OfRule, of: &OfKey) -> String {
    let mode = rule.info.mode.name();
    let verdict = match &rule.verdict {
        Some(verdict) => format!("{}: {}", verdict.state.name(), verdict.why),
        None if of.unknown.is_some() => "not measured".to_owned(),
        None => "calm".to_owned(),
    };
    let baseline =
        rule.baseline.map_or_else(String::new, |rate| format!("; baseline {}", human(of.key, rate)));
    let owner = rule.info.owner.as_ref().map_or_else(String::new, |owner| format!(", of {owner}"));
    let runbook = rule.info.runbook_url.as_ref().map_or_else(String::new, |url| format!("; see {url}"));
    format!("{} ({mode}{owner}): {verdict}{baseline}{runbook}", rule.info.rule)
}
