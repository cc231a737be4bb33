//! A real Alertmanager.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::files::write;
use crate::http::Client;
use crate::process::Server;
use crate::programs;

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    server: Server,
    client: Client,
    config: PathBuf,
    folder: TempDir,
}

impl Alertmanager {
    /// Starts one with the given configuration text and waits until it is ready.
    ///
    /// # Errors
    /// When there is no binary, the configuration is wrong, or it is not ready in time.
    pub async fn start(config_text: &str) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("testbed-alertmanager-").tempdir().context("make a folder")?;
        let config = folder.path().join("alertmanager.yml");
        write(&config, config_text)?;
        let arguments = |address: SocketAddr| {
            vec![
                format!("--config.file={}", config.display()),
                format!("--storage.path={}", folder.path().join("data").display()),
                format!("--web.listen-address={address}"),
                // Alone: no gossip, so no second port and no outside address.
                "--cluster.listen-address=".to_owned(),
            ]
        };
        let program = programs::alertmanager()?;
        let server =
            Server::start("alertmanager", &program, folder.path(), None, "/-/ready", arguments).await?;
        let client = Client::new(server.address())?;
        Ok(Self { server, client, config, folder })
    }

    /// Its address as a URL without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Its temporary directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// The alerts it knows, as `/api/v2/alerts` shows them; `status.inhibitedBy` names who silences whom.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn alerts(&self) -> Result<Vec<Value>> {
        let answer = self.client.get("/api/v2/alerts", &[]).await?;
        answer.as_array().cloned().context("no list of alerts")
    }

    /// Stops it now instead of when it is dropped.
    pub fn stop(&mut self) {
        self.server.stop();
    }
}
