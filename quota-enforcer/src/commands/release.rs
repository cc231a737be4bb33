//! `quota-enforcer release`: give a client back the quota that it had, or all of them.

use std::process::ExitCode;

use quota_enforcer_core::entity::Entity;
use quota_enforcer_core::quota::Key;

use super::order;
use crate::api::order::{Body, Kind};
use crate::app::Io;
use crate::cli::OrderArgs;

/// Flags of `release`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    quota-enforcer release user=alice\n  \
    quota-enforcer release user=alice --key producer_byte_rate --reason 'agreed with the team'\n  \
    quota-enforcer release --all --reason 'wrong rule'")]
pub struct Args {
    /// user=NAME, client-id=NAME or user=NAME,client-id=NAME
    #[arg(required_unless_present = "all")]
    pub entity: Option<Entity>,
    /// Everybody, defaults that make clients measurable included
    #[arg(long, conflicts_with = "entity", requires = "reason")]
    pub all: bool,
    /// Only this quota: producer_byte_rate, consumer_byte_rate or request_percentage
    #[arg(long, value_name = "QUOTA", conflicts_with = "all", value_parser = parse_key)]
    pub key: Option<Key>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who orders, and who is asked.
    #[command(flatten)]
    pub order: OrderArgs,
}

/// Releases.
///
/// # Errors
/// Nobody leads who can be asked, or the leader refuses.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let body = Body {
        by: args.order.by.clone(),
        reason: args.reason.clone().unwrap_or_default(),
        entity: args.entity.clone(),
        key: args.key,
        all: args.all,
        for_seconds: None,
    };
    order::place(Kind::Release, body, &args.order, io).await
}

fn parse_key(text: &str) -> Result<Key, String> {
    Key::from_name(text).ok_or_else(|| format!("there are {}", Key::ALL.map(Key::name).join(", ")))
}
