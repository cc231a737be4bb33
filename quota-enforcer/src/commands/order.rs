//! What the commands that change something share: through the leader's API, or else as leader for one act.

use std::io::{self, Write};
use std::process::ExitCode;

use daemon_kit::cli::EXIT_FINDINGS;

use super::reach::{Reach, reach_to_order};
use crate::api::order::{Body, Kind};
use crate::app::Io;
use crate::cli::{OrderArgs, OutputArg};
use crate::engine::Ordered;

/// Gives the order and says what came of it.
pub(super) async fn place(
    kind: Kind,
    body: Body,
    args: &OrderArgs,
    io: &mut Io<'_>,
) -> anyhow::Result<ExitCode> {
    let ordered = match reach_to_order(args).await? {
        Reach::Api(client) => client.order(kind.name(), &body).await?,
        Reach::Direct(world) => {
            writeln!(io.stderr, "note: no daemon answers: this command leads for one act")?;
            world.order(kind, &body).await?
        }
    };
    tell(&ordered, args.reach.output, io)
}

/// Says what came of an order.
pub(super) fn tell(ordered: &Ordered, output: OutputArg, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    match output {
        OutputArg::Json => super::json(io, ordered)?,
        OutputArg::Text => render(ordered, io.stdout)?,
    }
    Ok(if ordered.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FINDINGS) })
}

/// For people.
///
/// # Errors
/// The stream's.
pub fn render(ordered: &Ordered, out: &mut dyn Write) -> io::Result<()> {
    for text in &ordered.said {
        writeln!(out, "{text}")?;
    }
    for done in &ordered.done {
        writeln!(out, "{}: {}", done.event.name(), done.why)?;
    }
    ordered.faults.iter().try_for_each(|fault| writeln!(out, "fault: {fault}"))
}
