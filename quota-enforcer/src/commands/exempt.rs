//! `quota-enforcer exempt`: no rule touches a client for a while.

use std::process::ExitCode;
use std::time::Duration;

use quota_enforcer_core::entity::Entity;

use super::order;
use crate::api::order::{Body, Kind};
use crate::app::Io;
use crate::cli::{OrderArgs, parse_duration};

/// Flags of `exempt`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    quota-enforcer exempt user=alice --for 2h --reason 'backfill until noon'")]
pub struct Args {
    /// user=NAME, client-id=NAME or user=NAME,client-id=NAME
    pub entity: Entity,
    /// How long, such as 90m, 2h or 7d
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Duration,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who orders, and who is asked.
    #[command(flatten)]
    pub order: OrderArgs,
}

/// Exempts.
///
/// # Errors
/// Nobody leads who can be asked, or the leader refuses.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let body = Body {
        by: args.order.by.clone(),
        reason: args.reason.clone(),
        entity: Some(args.entity.clone()),
        for_seconds: Some(args.duration.as_secs().max(1)),
        ..Body::default()
    };
    order::place(Kind::Exempt, body, &args.order, io).await
}
