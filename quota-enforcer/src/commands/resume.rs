//! `quota-enforcer resume`: go on after `pause`.

use std::process::ExitCode;

use super::order;
use crate::api::order::{Body, Kind};
use crate::app::Io;
use crate::cli::OrderArgs;

/// Flags of `resume`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    quota-enforcer resume")]
pub struct Args {
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Who orders, and who is asked.
    #[command(flatten)]
    pub order: OrderArgs,
}

/// Resumes.
///
/// # Errors
/// Nobody leads who can be asked, or the leader refuses.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let body = Body { by: args.order.by.clone(), reason: args.reason.clone(), ..Body::default() };
    order::place(Kind::Resume, body, &args.order, io).await
}
