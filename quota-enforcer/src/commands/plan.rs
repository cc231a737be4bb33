//! `quota-enforcer plan`: what would be done now, as a difference of quotas.

use std::io::{self, Write};
use std::process::ExitCode;

use quota_enforcer_core::usage::{Rates, human};
use serde::Deserialize as _;

use super::reach::{Reach, reach_by_policy};
use crate::app::Io;
use crate::cli::{OutputArg, ReachArgs};
use crate::views::plan::{Change, Plan};

/// Flags of `plan`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Nothing is written. Asked of a daemon, it tells what its next tick would do. Without one, or where the \
    daemon has another policy than the file, each client that is over its threshold now counts as confirmed; how fast it \
    grows a second look tells, two scrapes later. A daemon that --api names is asked in any case.\n\nExamples:\n  \
    quota-enforcer plan -c quota-enforcer.yaml\n  \
    quota-enforcer plan --api http://127.0.0.1:9620 --output json"
)]
pub struct Args {
    /// Who is asked.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Shows it.
///
/// # Errors
/// Neither a daemon nor Kafka and Prometheus can be asked.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let plan = match reach_by_policy(&args.reach, io).await? {
        Reach::Api(client) => {
            let plan = client.get::<Plan>("plan", &[]).await?;
            if args.reach.api.is_some() {
                let (base, policy) = (client.base(), &plan.policy);
                writeln!(io.stderr, "note: by policy {policy} of the daemon at {base}, not by a file")?;
            }
            plan
        }
        Reach::Direct(world) => world.plan().await?,
    };
    match args.reach.output {
        OutputArg::Json => super::json(io, &plan)?,
        OutputArg::Text => render(&plan, io.stdout)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// For people.
///
/// # Errors
/// The stream's.
pub fn render(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# cluster {}, policy {}, at {}", plan.cluster, plan.policy, plan.at)?;
    if !plan.confirmed {
        writeln!(
            out,
            "# two looks at most: samples are not confirmed, each client over its threshold is taken as confirmed"
        )?;
    }
    for fault in &plan.faults {
        writeln!(out, "# fault: {fault}")?;
    }
    for why in &plan.blockers {
        writeln!(out, "# nothing is tightened: {why}")?;
    }
    for cap in &plan.capped {
        writeln!(out, "# cap {} is reached: nothing new is done", cap.name())?;
    }
    for step in &plan.changes {
        change(step, out)?;
    }
    let count = plan.changes.len();
    match count {
        0 => writeln!(out, "no quota would change")?,
        1 => writeln!(out, "\n1 quota would change")?,
        _ => writeln!(out, "\n{count} quotas would change")?,
    }
    let mut others = plan.verdicts.iter().filter(|verdict| verdict.state.name() != "caught").peekable();
    if others.peek().is_some() {
        writeln!(out, "\nnot calm, and nothing to do:")?;
    }
    for verdict in others {
        let who = verdict.entity.as_ref().map_or_else(|| "all clients".to_owned(), ToString::to_string);
        writeln!(
            out,
            "  {who} {} ({}, rule {}): {}",
            verdict.key,
            verdict.state.name(),
            verdict.rule,
            verdict.why
        )?;
    }
    Ok(())
}

fn change(change: &Change, out: &mut dyn Write) -> io::Result<()> {
    let key = change.slot.key;
    for (sign, value) in [("-", change.from), ("+", change.to)] {
        if let Some(value) = value {
            writeln!(out, "{sign} {} {}", change.slot, human(key, value))?;
        }
    }
    writeln!(out, "    rule {}: {}", change.rule, change.why)?;
    let rates = change.evidence.get("rates").and_then(|rates| Rates::deserialize(rates).ok());
    if let Some(rates) = rates {
        for (broker, rate) in &rates.brokers {
            writeln!(out, "    broker {broker}: {}, peak {}", human(key, rate.now), human(key, rate.peak))?;
        }
        let (scraped, all) = rates.covered;
        writeln!(out, "    oldest sample {}, {scraped} of {all} brokers scraped", rates.at)?;
    }
    Ok(())
}
