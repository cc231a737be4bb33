//! `quota-enforcer status`: who leads, what is held and who is not calm.

use std::io::{self, Write};
use std::process::ExitCode;

use quota_enforcer_core::ledger::{Hold, Phase, Purpose};
use quota_enforcer_core::usage::human;

use super::reach::{Reach, reach};
use super::text::{Table, quota, relative, span, under_way};
use crate::app::Io;
use crate::cli::{OutputArg, ReachArgs};
use crate::status::{Role, Status};

/// Flags of `status`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  quota-enforcer status\n  quota-enforcer status --output json | jq .holds"
)]
pub struct Args {
    /// Who is asked.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Shows it: a daemon's, or what the ledger says when none answers.
///
/// # Errors
/// Neither can be read.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let status = match reach(&args.reach).await? {
        Reach::Api(client) => client.get::<Status>("status", &[]).await?,
        Reach::Direct(world) => world.status().await?,
    };
    match args.reach.output {
        OutputArg::Json => super::json(io, &status)?,
        OutputArg::Text => render(&status, io.stdout)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// For people.
///
/// # Errors
/// The stream's.
pub fn render(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "cluster  {}, {} brokers, at {}", status.cluster, status.brokers, status.at)?;
    writeln!(out, "role     {}", role(status))?;
    if let Some(leader) = &status.leader
        && status.role != Role::Leader
    {
        let api = leader.api.as_ref().map_or_else(String::new, |api| format!(", {api}"));
        // Whether it still leads only a daemon knows that has followed it.
        let leads = if status.role == Role::Starting { "last leader" } else { "leader  " };
        writeln!(out, "{leads} {}, epoch {}, since {}{api}", leader.instance, leader.epoch, leader.since)?;
    }
    if !status.policy.is_empty() {
        writeln!(out, "policy   {}", status.policy)?;
    }
    if let Some(pause) = &status.pause {
        writeln!(out, "paused   since {} by {}: {}", pause.since, pause.by, pause.reason)?;
    }
    for why in &status.blockers {
        writeln!(out, "blocked  {why}")?;
    }
    for cap in &status.capped {
        writeln!(out, "cap      {} is reached: nothing new is done", cap.name())?;
    }
    for fault in &status.faults {
        writeln!(out, "fault    {fault}")?;
    }
    for note in &status.notes {
        writeln!(out, "note     {note}")?;
    }
    holds(status, out)?;
    verdicts(status, out)?;
    rest(status, out)
}

fn role(status: &Status) -> String {
    let lease = span(std::time::Duration::from_millis(status.lease_left_ms));
    let epoch = status.epoch.unwrap_or_default();
    match status.role {
        Role::Starting => "not known yet".to_owned(),
        Role::Taking => format!("leader of epoch {epoch} as soon as older leases ran out"),
        Role::Leader => format!("leader, epoch {epoch}, lease for {lease} more"),
        Role::Standby => "standby".to_owned(),
        Role::Refused => "observes only: it may not enforce".to_owned(),
    }
}

fn holds(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    let (throttles, sentinels): (Vec<&Hold>, Vec<&Hold>) =
        status.holds.iter().partition(|hold| hold.purpose == Purpose::Throttle);
    writeln!(out, "\nheld: {}", throttles.len())?;
    let mut table = Table::new(&["ENTITY", "QUOTA", "PHASE", "BOUND", "TARGET", "SINCE", "ENDS", "RULE", ""]);
    for hold in throttles {
        let remark = match (hold.ineffective, hold.verified, &hold.intent) {
            (_, _, Some(intent)) => under_way(hold.slot.key, intent, status.at),
            (Some(_), ..) => "does not bite".to_owned(),
            (_, Some(_), _) => "verified".to_owned(),
            _ => String::new(),
        };
        table.row([
            hold.slot.entity.to_string(),
            hold.slot.key.to_string(),
            hold.phase.name().to_owned(),
            quota(hold.slot.key, hold.ours),
            human(hold.slot.key, hold.target),
            relative(hold.since, status.at),
            relative(hold.expires, status.at),
            hold.rule.clone(),
            remark,
        ]);
    }
    table.write(out, "  ")?;
    for hold in sentinels {
        let standing = match (&hold.intent, hold.phase) {
            (Some(intent), _) => under_way(hold.slot.key, intent, status.at),
            (None, Phase::Lost) => "lost: somebody changed it".to_owned(),
            (None, _) => quota(hold.slot.key, hold.ours),
        };
        writeln!(out, "  sentinel {} {standing} for rule {}", hold.slot, hold.rule)?;
    }
    Ok(())
}

fn verdicts(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    let seen = status.seen.iter().map(|(rule, seen)| format!("{rule} {seen}")).collect::<Vec<_>>().join(", ");
    let seen = if seen.is_empty() { seen } else { format!(" (clients seen: {seen})") };
    writeln!(out, "\nnot calm: {}{seen}", status.verdicts.len())?;
    let mut table = Table::new(&["RULE", "ENTITY", "STATE", "WHY"]);
    for verdict in &status.verdicts {
        table.row([
            verdict.rule.clone(),
            verdict.entity.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string),
            verdict.state.name().to_owned(),
            verdict.why.clone(),
        ]);
    }
    table.write(out, "  ")
}

fn rest(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    if !status.exemptions.is_empty() {
        writeln!(out, "\nexempted: {}", status.exemptions.len())?;
        let mut table = Table::new(&["ENTITY", "ENDS", "BY", "REASON"]);
        for exemption in &status.exemptions {
            table.row([
                exemption.entity.to_string(),
                relative(exemption.until, status.at),
                exemption.by.clone(),
                exemption.reason.clone(),
            ]);
        }
        table.write(out, "  ")?;
    }
    if !status.offences.is_empty() {
        writeln!(out, "\nremembered: {}", status.offences.len())?;
        let mut table = Table::new(&["ENTITY", "QUOTA", "OFFENCES", "ENDED", "FORGOTTEN"]);
        for offence in &status.offences {
            table.row([
                offence.slot.entity.to_string(),
                offence.slot.key.to_string(),
                offence.count.to_string(),
                relative(offence.ended, status.at),
                relative(offence.forget, status.at),
            ]);
        }
        table.write(out, "  ")?;
    }
    Ok(())
}
