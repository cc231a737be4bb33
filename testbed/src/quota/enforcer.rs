//! One replica of the enforcer: a process, which may die, and its files, which stay.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use crate::http::Client;
use crate::process::{Orphaned, Process, free_address};
use crate::wait::{self, Hopeless, LIMIT};
use crate::{files, programs};

/// Names the stage at which the process kills itself.
const FAILPOINT: &str = "QUOTA_ENFORCER_FAILPOINT";
/// Sets a variable and becomes the program: the process id stays the same.
const ENV: &str = "/usr/bin/env";

/// See the module.
#[derive(Debug)]
pub struct Enforcer {
    process: Option<Process>,
    environment: BTreeMap<&'static str, String>,
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    api: Client,
}

impl Enforcer {
    /// One that has never run, with its files in a folder that is made.
    ///
    /// # Errors
    /// When no port is free or the folder cannot be made.
    pub fn new(program: &Path, folder: PathBuf) -> Result<Self> {
        let address = free_address()?;
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        files::write(&folder.join("token"), "stage-token\n")?;
        let program = std::path::absolute(program)?;
        Ok(Self {
            process: None,
            environment: BTreeMap::new(),
            program,
            folder,
            address,
            api: Client::new(address)?,
        })
    }

    /// Where its API listens when it runs.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the token of its API.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn config(&self) -> PathBuf {
        self.folder.join("quota-enforcer.yaml")
    }

    /// Writes its configuration; when it runs, it reads it again by itself.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, text: &str) -> Result<()> {
        files::write(&self.config(), text)
    }

    /// Lets the wall clock of its processes from now on be ahead of (or behind) the machine's by as many seconds as the file
    /// says, at each moment.
    ///
    /// # Errors
    /// When libfaketime is missing.
    pub fn skew_by(&mut self, file: &Path) -> Result<()> {
        let variables = [
            ("LD_PRELOAD", programs::libfaketime()?.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        self.environment.extend(variables);
        Ok(())
    }

    /// Starts its process and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time; the message holds the end of its log.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn(None)?;
        let process = self.process.as_mut().context("it was started")?;
        let api = &self.api;
        let waited = wait::until("the enforcer to be ready", LIMIT, || {
            let exited = process.exited();
            async move {
                if let Some(status) = exited {
                    bail!(Hopeless(format!("it exited: {status}")));
                }
                Ok(api.is_ok("/ready").await.then_some(()))
            }
        });
        let outcome = waited.await;
        outcome.with_context(|| format!("start the enforcer; its log ends with\n{}", self.log_tail(15)))
    }

    /// Starts its process and does not wait. With a failpoint it kills itself (SIGKILL) when a tick first gets there, or stops
    /// itself (SIGSTOP) with `:stop` behind its name.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn spawn(&mut self, failpoint: Option<&str>) -> Result<()> {
        if self.is_running() {
            bail!("the enforcer runs already");
        }
        let failpoint = failpoint.map(|stage| format!("{FAILPOINT}={stage}"));
        let environment = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let mut arguments: Vec<String> = environment.chain(failpoint).collect();
        for argument in [&self.program, Path::new("run"), Path::new("--config"), &self.config()] {
            arguments.push(argument.display().to_string());
        }
        let log = self.folder.join("quota-enforcer.log");
        self.process = Some(Process::spawn("enforcer", Path::new(ENV), &arguments, log, Orphaned::Kill)?);
        Ok(())
    }

    /// Whether its process is there, paused or not.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.exited().is_none())
    }

    /// Waits until its process has ended by itself.
    ///
    /// # Errors
    /// When it has not in time.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let process = self.process.as_mut().context("it was not started")?;
        let waited = wait::until("the enforcer to end", limit, || {
            let exited = process.exited();
            async move { Ok(exited) }
        });
        let outcome = waited.await;
        outcome.with_context(|| format!("its log ends with\n{}", self.log_tail(15)))
    }

    /// Waits until it has stopped itself at a failpoint.
    ///
    /// # Errors
    /// When it has not in time.
    pub async fn paused(&self, limit: Duration) -> Result<()> {
        let process = self.process.as_ref().context("it was not started")?;
        let paused = || async { Ok(process.is_paused().then_some(())) };
        let waited = wait::until("the enforcer to stop itself", limit, paused).await;
        waited.with_context(|| format!("its log ends with\n{}", self.log_tail(15)))
    }

    /// Ends its process in order (SIGTERM), if it runs.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    /// Ends its process at once (SIGKILL), if it runs.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Stops its process in the middle of whatever it does (SIGSTOP).
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`Enforcer::pause`] (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().context("the enforcer does not run")?.signal(signal)
    }

    /// `GET /api/v1/status`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<Value> {
        self.api.get("/api/v1/status", &[]).await
    }

    /// Runs a command of the enforcer with this replica's configuration and token: exit code, standard output and error.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn command(&self, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
        let output = Command::new(&self.program)
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .output()
            .with_context(|| format!("run {}", self.program.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    }

    /// Everything that its processes have logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("quota-enforcer.log")).unwrap_or_default()
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }
}
