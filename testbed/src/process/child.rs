//! A child process that never outlives us, and its log.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use std::{io, thread};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to stop after SIGTERM before it gets SIGKILL.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A running process.
///
/// Dropping it stops or kills it, as [`Orphaned`] says; only this process id. Should we die without dropping it, the
/// kernel does the same where `setpriv` is installed, as it is on Debian.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Option<Child>,
    log: PathBuf,
    orphaned: Orphaned,
}

impl Process {
    /// Starts `program` with its output appended to `log`. `orphaned` is how it ends with us.
    ///
    /// # Errors
    /// When it cannot be started or the log cannot be written.
    pub fn spawn(
        name: impl Into<String>,
        program: &Path,
        arguments: &[String],
        log: PathBuf,
        orphaned: Orphaned,
    ) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log).context("create the server's log")?;
        let mut command = dying_with_us(program, orphaned);
        command.args(arguments).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        if let Some(folder) = log.parent() {
            command.current_dir(folder);
        }
        let child = spawn_for_life(command).with_context(|| format!("start {}", program.display()))?;
        Ok(Self { name: name.into(), child: Some(child), log, orphaned })
    }

    /// Its process id; `None` once it was stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// It was stopped (SIGSTOP) and does not go on.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let stat = self.pid().and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        // After the name, which may hold anything, in parentheses: the state.
        stat.is_some_and(|stat| {
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    }

    /// How it ended, if it did by itself.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
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
            thread::sleep(step);
            waited += step;
        }
        drop(child.kill());
        drop(child.wait());
    }

    /// Ends it at once with SIGKILL. Does nothing when it was stopped before.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        drop(child.kill());
        drop(child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        match self.orphaned {
            Orphaned::Stop => self.stop(),
            Orphaned::Kill => self.kill(),
        }
    }
}

/// How a process ends when nobody holds it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphaned {
    /// SIGTERM: it may tidy up.
    Stop,
    /// SIGKILL: for a server whose orderly end may take minutes or that may be paused.
    Kill,
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// The command, wrapped so that the kernel ends it with us.
fn dying_with_us(program: &Path, orphaned: Orphaned) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if std::fs::metadata(setpriv).is_err() {
        return Command::new(program);
    }
    let signal = match orphaned {
        Orphaned::Stop => "TERM",
        Orphaned::Kill => "KILL",
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    // Its own process group: Ctrl-C reaches us alone, and we stop the servers in order.
    command.process_group(0);
    command
}

type Job = (Command, Sender<io::Result<Child>>);

/// Spawns from one thread that lives as long as we do: the kernel counts a process as orphaned when the *thread* that
/// spawned it ends, and a test's thread ends with the test.
fn spawn_for_life(command: Command) -> io::Result<Child> {
    static KEEPER: OnceLock<Sender<Job>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in jobs {
                // Whoever asked may have given up.
                answer.send(command.spawn()).ok();
            }
        });
        sender
    });
    let gone = || io::Error::other("the thread that starts processes is gone");
    let (answer, child) = channel();
    keeper.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;

    fn sleeper(folder: &Path) -> Process {
        let arguments = ["-c".to_owned(), "sleep 600".to_owned()];
        Process::spawn("sleeper", Path::new("/bin/sh"), &arguments, folder.join("log"), Orphaned::Kill)
            .unwrap()
    }

    #[test]
    fn stopping_twice_is_stopping_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = sleeper(folder.path());
        let pid = Pid::from_raw(i32::try_from(server.pid().unwrap()).unwrap()).unwrap();
        assert!(rustix::process::test_kill_process(pid).is_ok());
        server.stop();
        server.stop();
        assert!(rustix::process::test_kill_process(pid).is_err());
        assert_eq!(server.pid(), None);
    }

    #[tokio::test]
    async fn a_process_outlives_the_thread_that_asked_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let spawn = move || {
            let ticking = ["-c".to_owned(), "while :; do echo tick; sleep 0.01; done".to_owned()];
            let server =
                Process::spawn("ticker", Path::new("/bin/sh"), &ticking, log, Orphaned::Kill).unwrap();
            while server.log().is_empty() {
                thread::yield_now();
            }
            server
        };
        let server = thread::spawn(spawn).join().unwrap();
        let before = server.log().len();
        // The kernel's signal may come a little after the thread's end.
        let ticks = || async { Ok((server.log().len() > before + 20 * "tick\n".len()).then_some(())) };
        wait::until("twenty more ticks", wait::LIMIT, ticks).await.unwrap();
    }
}
