//! How to reach a Prometheus: the flags that `backfill` and `validate --prometheus` share.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use daemon_kit::cli::UsageError;
use daemon_kit::prom::{Auth, Client, Options, Secret};
use slo_engine_core::PromDuration;

/// Address and credentials. Secrets come from files, never from the command line, where every user of the machine sees them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Prometheus options")]
pub struct PrometheusArgs {
    /// Address of a Prometheus API (Prometheus, Thanos, Mimir, VictoriaMetrics), path prefix included
    #[arg(long = "prometheus", value_name = "URL")]
    pub url: Option<String>,
    /// User name for basic authentication
    #[arg(long = "prometheus-user", value_name = "NAME", requires = "password_file")]
    pub user: Option<String>,
    /// File with the password for basic authentication
    #[arg(long = "prometheus-password-file", value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// File with a bearer token
    #[arg(long = "prometheus-token-file", value_name = "FILE", conflicts_with = "user")]
    pub token_file: Option<PathBuf>,
    /// Further header whose value is read from a file (repeatable)
    #[arg(long = "prometheus-header-file", value_name = "NAME=FILE", value_parser = parse_header)]
    pub header_files: Vec<(String, PathBuf)>,
    /// Tenant, sent as X-Scope-OrgID (Mimir, Cortex)
    #[arg(long = "prometheus-tenant", value_name = "NAME")]
    pub tenant: Option<String>,
    /// PEM file of the certificate authorities to trust instead of the system's
    #[arg(long = "prometheus-ca-file", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Longest time for one request
    #[arg(long = "prometheus-timeout", value_name = "DURATION", default_value = "1m", value_parser = parse_timeout)]
    pub timeout: PromDuration,
}

impl PrometheusArgs {
    /// A client, if an address is given.
    ///
    /// # Errors
    /// Address, files or headers cannot be used.
    pub fn client(&self) -> anyhow::Result<Option<Client>> {
        let Some(url) = &self.url else { return Ok(None) };
        let mut options = Options::new(url);
        options.timeout = Duration::from_millis(self.timeout.as_millis());
        options.max_bytes = 512 << 20;
        options.tenant.clone_from(&self.tenant);
        options.ca_file.clone_from(&self.ca_file);
        options.user_agent = concat!("slo-engine/", env!("CARGO_PKG_VERSION")).to_owned();
        if let (Some(user), Some(file)) = (&self.user, &self.password_file) {
            options.auth = Auth::Basic { user: user.clone(), password: Secret::from_file("password", file)? };
        }
        if let Some(file) = &self.token_file {
            options.auth = Auth::Bearer(Secret::from_file("token", file)?);
        }
        for (name, file) in &self.header_files {
            options.headers.push((name.clone(), Secret::from_file("header", file)?));
        }
        Client::new(options).context("--prometheus").map(Some)
    }

    /// A client; an address is needed.
    ///
    /// # Errors
    /// As [`Self::client`], and [`UsageError`] without an address.
    pub fn need_client(&self, command: &str) -> anyhow::Result<Client> {
        self.client()?.ok_or_else(|| UsageError(format!("`{command}` needs --prometheus URL")).into())
    }
}

fn parse_header(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("expected NAME=FILE".to_owned()),
    }
}

fn parse_timeout(text: &str) -> Result<PromDuration, String> {
    let timeout = PromDuration::parse(text).map_err(|error| error.to_string())?;
    if timeout.is_zero() { Err("no request is that quick".to_owned()) } else { Ok(timeout) }
}
