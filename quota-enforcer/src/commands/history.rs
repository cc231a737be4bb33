//! `quota-enforcer history`: what was done, from the audit chain.

use std::io::{self, Write};
use std::process::ExitCode;

use quota_enforcer_core::audit::Record;
use quota_enforcer_core::entity::Entity;

use super::reach::{Reach, reach};
use super::text::{Table, quota};
use crate::app::Io;
use crate::cli::{OutputArg, ReachArgs};
use crate::views::history::{History, Records as _, Wanted};

/// Flags of `history`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    quota-enforcer history\n  \
    quota-enforcer history user=alice --limit 1000 --output json")]
pub struct Args {
    /// Of whom; of a user or client id also its pairs. Without it everything
    pub entity: Option<Entity>,
    /// So many of the newest records
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Who is asked.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Shows it.
///
/// # Errors
/// The audit topic cannot be read.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let history = match reach(&args.reach).await? {
        Reach::Api(client) => {
            let limit = args.limit.to_string();
            let entity = args.entity.as_ref().map(ToString::to_string);
            let mut query = vec![("limit", limit.as_str())];
            query.extend(entity.as_deref().map(|entity| ("entity", entity)));
            client.get::<History>("history", &query).await?
        }
        Reach::Direct(world) => {
            let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
            let wanted = Wanted { entity: args.entity.clone(), limit };
            world.history(&wanted).await.map_err(anyhow::Error::msg)?
        }
    };
    match args.reach.output {
        OutputArg::Json => super::json(io, &history)?,
        OutputArg::Text => render(&history, io.stdout)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// For people.
///
/// # Errors
/// The stream's.
pub fn render(history: &History, out: &mut dyn Write) -> io::Result<()> {
    if history.left_out > 0 {
        writeln!(out, "{} older records are left out: see --limit", history.left_out)?;
    }
    if history.records.is_empty() {
        return writeln!(out, "nothing was recorded");
    }
    let mut table = Table::new(&["TIME", "RECORD", "EVENT", "ENTITY", "QUOTA", "CHANGE", "BY", "WHY"]);
    for record in &history.records {
        table.row(row(record));
    }
    table.write(out, "")
}

fn row(record: &Record) -> [String; 8] {
    let entry = &record.entry;
    let (entity, key, change) = match &entry.slot {
        Some(slot) => {
            let (before, after) = (quota(slot.key, entry.before), quota(slot.key, entry.after));
            let change = if before == after { after } else { format!("{before} -> {after}") };
            (slot.entity.to_string(), slot.key.to_string(), change)
        }
        None => {
            let entity = entry.evidence.get("entity").and_then(|value| value.as_str()).unwrap_or_default();
            (entity.to_owned(), String::new(), String::new())
        }
    };
    let event = entry.event.name().to_owned();
    [
        entry.at.to_string(),
        record.seq.to_string(),
        event,
        entity,
        key,
        change,
        entry.by.clone(),
        entry.why.clone(),
    ]
}
