//! A server as a child process that never outlives us.

mod child;
mod ports;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

pub use child::{Orphaned, Process};
pub use ports::{free_address, loopback};

use crate::http::Client;
use crate::wait::{self, Hopeless, LIMIT};

/// How many free ports are tried when another process is faster to take one.
const PORT_ATTEMPTS: usize = 5;

/// A running HTTP server; dropping it stops it, see [`Process`].
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    process: Process,
    address: SocketAddr,
}

impl Server {
    /// Starts `program` with the arguments that `arguments` makes from its listening address, and waits until
    /// `GET ready_path` answers 200. With `port` it listens there, else on a free port.
    ///
    /// # Errors
    /// When it cannot be started, exits, or is not ready in time; the message holds the end of its log.
    pub async fn start(
        name: &'static str,
        program: &Path,
        folder: &Path,
        port: Option<u16>,
        ready_path: &str,
        arguments: impl Fn(SocketAddr) -> Vec<String>,
    ) -> Result<Self> {
        let mut attempt = 1;
        loop {
            let address = match port {
                Some(port) => loopback(port),
                None => free_address()?,
            };
            let log = folder.join(format!("{name}.log"));
            let process = Process::spawn(name, program, &arguments(address), log, Orphaned::Stop)?;
            let mut server = Self { name, process, address };
            match server.ready(ready_path).await {
                Ok(()) => return Ok(server),
                Err(_) if port.is_none() && attempt < PORT_ATTEMPTS && server.lost_its_port() => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn ready(&mut self, path: &str) -> Result<()> {
        let client = Client::new(self.address)?;
        let what = format!("{} to become ready at http://{}{path}", self.name, self.address);
        let waited = wait::until(&what, LIMIT, || {
            let exited = self.process.exited();
            let client = &client;
            async move {
                if let Some(status) = exited {
                    bail!(Hopeless(format!("it exited: {status}")));
                }
                Ok(client.is_ok(path).await.then_some(()))
            }
        });
        let outcome = waited.await;
        outcome.with_context(|| format!("start {}; its log ends with\n{}", self.name, self.log_tail(40)))
    }

    fn lost_its_port(&self) -> bool {
        self.log_tail(15).contains("address already in use")
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id; `None` once it was stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Everything it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        self.process.log_tail(lines)
    }

    /// Sends a signal other than the ones that end it, such as SIGHUP or SIGSTOP.
    ///
    /// # Errors
    /// When it does not run any more.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Stops it now instead of when it is dropped. Does nothing the second time.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_exits_is_reported_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = |_| vec!["-c".to_owned(), "echo no such flag; exit 3".to_owned()];
        let error =
            Server::start("broken", Path::new("/bin/sh"), folder.path(), None, "/ready", arguments).await;
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("no such flag") && error.contains("exit status: 3"), "{error}");
    }
}
