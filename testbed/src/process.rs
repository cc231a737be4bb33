//! A server as a child process that never outlives us.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::http::Client;
use crate::wait;

/// How long a server may take to become ready. Generous: a busy machine is no failure.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long a server may take to stop after SIGTERM before it gets SIGKILL.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How many free ports are tried when another process is faster to take one.
const PORT_ATTEMPTS: usize = 5;

/// A running server.
///
/// Dropping it sends SIGTERM, waits, and sends SIGKILL if that is not enough; only to this process id. Should we die
/// without dropping it (SIGKILL), the kernel sends SIGTERM where `setpriv` is installed, as it is on Debian.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    child: Option<Child>,
    address: SocketAddr,
    log: PathBuf,
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
                Some(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                None => free_address()?,
            };
            let mut server = Self::spawn(name, program, folder, address, &arguments(address))?;
            match server.ready(ready_path).await {
                Ok(()) => return Ok(server),
                Err(_) if port.is_none() && attempt < PORT_ATTEMPTS && server.lost_its_port() => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn spawn(
        name: &'static str,
        program: &Path,
        folder: &Path,
        address: SocketAddr,
        arguments: &[String],
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).context("create the server's log")?;
        let mut command = dying_with_us(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .current_dir(folder);
        let child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        Ok(Self { name, child: Some(child), address, log })
    }

    async fn ready(&mut self, path: &str) -> Result<()> {
        let client = Client::new(self.address)?;
        let what = format!("{} to become ready at http://{}{path}", self.name, self.address);
        let waited = wait::until(&what, READY_LIMIT, || {
            let exited = self.child.as_mut().map(Child::try_wait);
            let client = &client;
            async move {
                if let Some(Ok(Some(status))) = exited {
                    bail!("it exited: {status}");
                }
                Ok(client.is_ok(path).await.then_some(()))
            }
        });
        let outcome = waited.await;
        outcome.with_context(|| format!("start {}; its log ends with\n{}", self.name, self.log_tail(15)))
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
        self.child.as_ref().map(Child::id)
    }

    /// Everything it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }

    /// Sends a signal other than the ones that end it, such as SIGHUP or SIGSTOP.
    ///
    /// # Errors
    /// When it does not run any more.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.child.as_ref().and_then(pid_of).context("the server was stopped before")?;
        kill_process(pid, signal).with_context(|| format!("signal {}", self.name))
    }

    /// Stops it: SIGTERM, and SIGKILL if it has not ended after ten seconds. Does nothing the second time.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Some(pid) = pid_of(&child) {
            // It may have ended already: then there is nobody to signal, which is fine.
            kill_process(pid, Signal::TERM).ok();
        }
        let step = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        while waited < STOP_LIMIT {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            // Drop cannot await; the servers end within a few steps.
            std::thread::sleep(step);
            waited += step;
        }
        drop(child.kill());
        drop(child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A loopback address that nobody listened on a moment ago.
///
/// # Errors
/// When the machine has no free port.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?)
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// The command, wrapped so that the kernel ends it with us.
fn dying_with_us(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if std::fs::metadata(setpriv).is_err() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    // Its own process group: Ctrl-C reaches us alone, and we stop the servers in order.
    command.process_group(0);
    command
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

    #[test]
    fn stopping_twice_is_stopping_once() {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address().unwrap();
        let arguments = ["-c".to_owned(), "sleep 600".to_owned()];
        let mut server =
            Server::spawn("sleeper", Path::new("/bin/sh"), folder.path(), address, &arguments).unwrap();
        let pid = Pid::from_raw(i32::try_from(server.pid().unwrap()).unwrap()).unwrap();
        assert!(rustix::process::test_kill_process(pid).is_ok());
        server.stop();
        server.stop();
        assert!(rustix::process::test_kill_process(pid).is_err());
        assert_eq!(server.pid(), None);
    }
}
