//! How a command gets at what it shows: a running daemon, or Kafka and Prometheus themselves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use daemon_kit::clock::SystemClock;

use crate::api::client::{Client, Error};
use crate::app::world::{Name, World, settings};
use crate::cli::{OrderArgs, ReachArgs};
use crate::status::Status;

/// See the module.
pub(super) enum Reach {
    /// This daemon.
    Api(Client),
    /// The servers.
    Direct(Box<World>),
}

/// For a command that only looks.
pub(super) async fn reach(args: &ReachArgs) -> anyhow::Result<Reach> {
    find(args, None, false).await
}

/// For a command that changes something, which needs the token.
pub(super) async fn reach_to_order(args: &OrderArgs) -> anyhow::Result<Reach> {
    find(&args.reach, args.token_file.as_deref(), true).await
}

/// Without any daemon.
pub(super) async fn direct(config: &Path) -> anyhow::Result<World> {
    World::connect(&settings(config)?, Arc::new(SystemClock::new()), Name::of_command()).await
}

async fn find(args: &ReachArgs, token_file: Option<&Path>, orders: bool) -> anyhow::Result<Reach> {
    if let Some(api) = &args.api {
        return Ok(Reach::Api(Client::new(api, token_file)?));
    }
    let settings = settings(&args.config.config)?;
    let configured = settings.admin.token_file.as_deref().filter(|_| orders);
    let client = Client::new(&address(settings.admin.listen), token_file.or(configured))?;
    match client.get::<Status>("status", &[]).await {
        Ok(_) => return Ok(Reach::Api(client)),
        Err(Error::Unreachable { .. }) => {}
        Err(error) => {
            tracing::warn!(%error, "what listens at {} is no enforcer of this version", client.base())
        }
    }
    let world = World::connect(&settings, Arc::new(SystemClock::new()), Name::of_command()).await?;
    Ok(Reach::Direct(Box::new(world)))
}

/// Where a listener is asked from its own machine.
fn address(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}
