//! How a command gets at what it shows: a running daemon, or Kafka and Prometheus themselves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use daemon_kit::clock::SystemClock;

use crate::api::client::{Client, Error};
use crate::app::Io;
use crate::app::world::{Name, World, settings};
use crate::cli::{OrderArgs, ReachArgs};
use crate::spec::Settings;
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
    if let Some(api) = &args.api {
        return Ok(Reach::Api(Client::new(api)?));
    }
    let settings = settings(&args.config.config)?;
    match answering(&settings).await? {
        Some((client, _)) => Ok(Reach::Api(client)),
        None => servers(&settings).await,
    }
}

/// For a command that shows what the configuration would do: a daemon is asked if it is named, or has this policy.
pub(super) async fn reach_by_policy(args: &ReachArgs, io: &mut Io<'_>) -> anyhow::Result<Reach> {
    if let Some(api) = &args.api {
        return Ok(Reach::Api(Client::new(api)?));
    }
    let settings = settings(&args.config.config)?;
    let Some((client, status)) = answering(&settings).await? else { return servers(&settings).await };
    let ours = &settings.policy.version;
    if status.policy.is_empty() || status.policy == *ours {
        return Ok(Reach::Api(client));
    }
    writeln!(
        io.stderr,
        "note: the daemon at {} has policy {}, {} is {ours}: this is by the file; --api asks the daemon",
        client.base(),
        status.policy,
        args.config.config.display()
    )?;
    servers(&settings).await
}

/// For a command that changes something, which needs the token.
pub(super) async fn reach_to_order(args: &OrderArgs) -> anyhow::Result<Reach> {
    let config = settings(&args.reach.config.config);
    let configured = config.as_ref().ok().and_then(|settings| settings.admin.token_file.clone());
    let file = args.token_file.clone().or(configured);
    // Not read before there is a daemon to ask: without one nobody needs it.
    let with_token = |client: Client| match &file {
        Some(file) => client.with_token(file),
        None => Ok(client),
    };
    if let Some(api) = &args.reach.api {
        return Ok(Reach::Api(with_token(Client::new(api)?)?));
    }
    let settings = config?;
    match answering(&settings).await? {
        Some((client, _)) => Ok(Reach::Api(with_token(client)?)),
        None => servers(&settings).await,
    }
}

/// Without any daemon.
pub(super) async fn direct(config: &Path) -> anyhow::Result<World> {
    connect(&settings(config)?).await
}

async fn servers(settings: &Settings) -> anyhow::Result<Reach> {
    Ok(Reach::Direct(Box::new(connect(settings).await?)))
}

async fn connect(settings: &Settings) -> anyhow::Result<World> {
    World::connect(settings, Arc::new(SystemClock::new()), Name::of_command()).await
}

/// The daemon that listens where the configuration says, if there is one.
async fn answering(settings: &Settings) -> anyhow::Result<Option<(Client, Status)>> {
    let client = Client::new(&address(settings.admin.listen))?;
    match client.get::<Status>("status", &[]).await {
        Ok(status) => return Ok(Some((client, status))),
        Err(Error::Unreachable { .. }) => {}
        Err(error) => {
            tracing::warn!(%error, "what listens at {} is no enforcer of this version", client.base())
        }
    }
    Ok(None)
}

/// Where a listener is asked from its own machine.
fn address(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}
