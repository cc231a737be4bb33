//! A real Alertmanager.

mod unpacked;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::files::write;
use crate::http::Client;
use crate::process::Server;
use crate::programs;
use crate::receiver::Receiver;

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
        let program = unpacked::fit(programs::alertmanager()?, folder.path())?;
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

/// How much faster than in the file notifications are sent.
const COMPRESSION: u64 = 30;

/// A configuration made fit for the bed: `url:` of each webhook leads to `receiver` (the last part of its path stays, so
/// that one sees which way a notification took), and `group_wait` and `group_interval` are thirty times shorter.
#[must_use]
pub fn compressed(config: &str, receiver: &Receiver) -> String {
    let line = |line: &str| {
        let Some((key, value)) = line.split_once(": ") else { return line.to_owned() };
        let value = value.trim().trim_matches(['"', '\'']);
        match key.trim_start_matches([' ', '-']) {
            "url" => format!("{key}: {}", receiver.url(value.rsplit('/').next().unwrap_or_default())),
            "group_wait" | "group_interval" => match seconds(value) {
                Some(seconds) => format!("{key}: {}s", seconds.div_ceil(COMPRESSION)),
                None => line.to_owned(),
            },
            _ => line.to_owned(),
        }
    };
    config.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// A duration of one unit, comments after it allowed.
fn seconds(text: &str) -> Option<u64> {
    let text = text.split_whitespace().next()?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn webhooks_lead_to_the_receiver_and_waits_are_shorter() {
        let receiver = Receiver::start().await.unwrap();
        let given = "route:\n  group_wait: 30s\n  group_interval: 5m # five\n  repeat_interval: 4h\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://pager.example/hooks/page\n";
        let want = format!(
            "route:\n  group_wait: 1s\n  group_interval: 10s\n  repeat_interval: 4h\nreceivers:\n- name: a\n  webhook_configs:\n  - url: {}\n",
            receiver.url("page")
        );
        assert_eq!(compressed(given, &receiver), want);
    }
}
