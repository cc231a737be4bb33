//! `quota-enforcer reap`: release what has expired, when no daemon does it.

use std::process::ExitCode;

use anyhow::bail;

use super::order;
use super::reach::{Reach, reach_to_order};
use crate::adapters::ledger::Fault;
use crate::api::order::{Body, Kind};
use crate::app::Io;
use crate::cli::OrderArgs;
use crate::status::{Role, Status};

/// Flags of `reap`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Made for a job that runs every few minutes beside the daemon: should the daemon be gone for good, no \
    throttle outlives its expiry. Where a daemon leads, it is left to that. Prometheus is not needed.\n\nExamples:\n  \
    quota-enforcer reap -c quota-enforcer.yaml --by cron"
)]
pub struct Args {
    /// Who orders, and who is asked.
    #[command(flatten)]
    pub order: OrderArgs,
}

/// Reaps.
///
/// # Errors
/// Kafka cannot be asked, or the ledger cannot be relied on.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let body = Body { by: args.order.by.clone(), ..Body::default() };
    let output = args.order.reach.output;
    let led = match reach_to_order(&args.order).await? {
        Reach::Api(client) if client.has_token() => {
            let ordered = client.order(Kind::Reap.name(), &body).await?;
            return order::tell(&ordered, output, io);
        }
        Reach::Api(client) => {
            let status: Status = client.get("status", &[]).await?;
            if matches!(status.role, Role::Starting | Role::Refused) {
                bail!(
                    "the daemon at {} does not lead and may not: {}",
                    client.base(),
                    status.blockers.join("; ")
                );
            }
            client.base().to_owned()
        }
        Reach::Direct(world) => match world.order(Kind::Reap, &body).await {
            Ok(ordered) => return order::tell(&ordered, output, io),
            Err(error) => match error.downcast::<Fault>()? {
                Fault::Led(leader) => leader,
                fault => return Err(fault.into()),
            },
        },
    };
    writeln!(io.stderr, "note: {led} runs, which releases what expires")?;
    order::tell(&crate::engine::Ordered::default(), output, io)
}
