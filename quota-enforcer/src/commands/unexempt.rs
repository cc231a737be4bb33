//! `quota-enforcer unexempt`: end an exemption.

use std::process::ExitCode;

use quota_enforcer_core::entity::Entity;

use super::order;
use crate::api::order::{Body, Kind};
use crate::app::Io;
use crate::cli::OrderArgs;

/// Flags of `unexempt`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    quota-enforcer unexempt user=alice")]
pub struct Args {
    /// user=NAME, client-id=NAME or user=NAME,client-id=NAME
    pub entity: Entity,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Who orders, and who is asked.
    #[command(flatten)]
    pub order: OrderArgs,
}

/// Ends it.
///
/// # Errors
/// Nobody leads who can be asked, or the leader refuses.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let body = Body {
        by: args.order.by.clone(),
        reason: args.reason.clone(),
        entity: Some(args.entity.clone()),
        ..Body::default()
    };
    order::place(Kind::Unexempt, body, &args.order, io).await
}
