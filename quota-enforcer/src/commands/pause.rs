//! `quota-enforcer pause`: tighten nothing until `resume`.

use std::process::ExitCode;

use super::order;
use crate::api::order::{Body, Kind};
use crate::app::Io;
use crate::cli::OrderArgs;

/// Flags of `pause`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    quota-enforcer pause --reason 'cluster upgrade'")]
pub struct Args {
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who orders, and who is asked.
    #[command(flatten)]
    pub order: OrderArgs,
}

/// Pauses.
///
/// # Errors
/// Nobody leads who can be asked, or the leader refuses.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let body = Body { by: args.order.by.clone(), reason: args.reason.clone(), ..Body::default() };
    order::place(Kind::Pause, body, &args.order, io).await
}
