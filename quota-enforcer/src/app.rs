//! The program: arguments and streams in, exit code out.

pub mod failpoint;
pub mod keeper;
mod office;
pub mod own;
pub mod serve;
pub mod world;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use daemon_kit::cli::{self, Stream};
use daemon_kit::reload;
use daemon_kit::telemetry::{self, TelemetryError};

use crate::cli::{Cli, Command, GlobalArgs};
use crate::commands;

/// How long what cannot be cancelled may take at the end.
pub(crate) const END: Duration = Duration::from_secs(5);
/// The streams of one run, and whether they may be coloured.
pub struct Io<'a> {
    /// Results.
    pub stdout: &'a mut dyn Write,
    /// Messages for people.
    pub stderr: &'a mut dyn Write,
    /// `stdout` is a terminal and nobody asked for no colour.
    pub color_out: bool,
    /// The same of `stderr`.
    pub color_err: bool,
}

impl<'a> Io<'a> {
    /// Streams without colour, as tests and pipes have them.
    pub fn plain(stdout: &'a mut dyn Write, stderr: &'a mut dyn Write) -> Self {
        Self { stdout, stderr, color_out: false, color_err: false }
    }
}

/// Runs with the process's own arguments and streams.
#[must_use]
pub fn main() -> ExitCode {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let (color_out, color_err) = cli::colors();
    let (mut out, mut err) = (io::BufWriter::new(stdout), stderr);
    let mut io = Io { stdout: &mut out, stderr: &mut err, color_out, color_err };
    run(std::env::args_os(), &mut io)
}

/// Runs with the given arguments (the program's name first) and streams.
pub fn run<I, T>(args: I, io: &mut Io<'_>) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let cli = match Cli::from_args(args) {
        Ok(cli) => cli,
        Err(error) => {
            let out = Stream { to: io.stdout, color: io.color_out };
            return cli::usage(&error, out, Stream { to: io.stderr, color: io.color_err });
        }
    };
    if cli.global.no_color {
        io.color_out = false;
        io.color_err = false;
    }
    let result = dispatch(cli, io).and_then(|code| {
        io.stdout.flush()?;
        Ok(code)
    });
    result.unwrap_or_else(|error| failed(&error, io))
}

fn dispatch(cli: Cli, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let command = match cli.command {
        Command::Run(args) => return commands::run::run(args, &cli.global),
        other => other,
    };
    log(&cli.global)?;
    match command {
        Command::Check(args) => commands::check::run(&args, io),
        Command::Schema => commands::schema::run(io),
        Command::Version(args) => commands::version::run(&args, io),
        Command::Completions(args) => commands::completions::run(&args, io),
        Command::Man(args) => commands::man::run(&args, io),
        asking => {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let code = runtime.block_on(ask(asking, io));
            runtime.shutdown_timeout(END);
            code
        }
    }
}

/// Commands that ask a daemon, Kafka or Prometheus.
async fn ask(command: Command, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Plan(args) => commands::plan::run(&args, io).await,
        Command::Status(args) => commands::status::run(&args, io).await,
        Command::Explain(args) => commands::explain::run(&args, io).await,
        Command::History(args) => commands::history::run(&args, io).await,
        Command::Release(args) => commands::release::run(&args, io).await,
        Command::Exempt(args) => commands::exempt::run(&args, io).await,
        Command::Unexempt(args) => commands::unexempt::run(&args, io).await,
        Command::Pause(args) => commands::pause::run(&args, io).await,
        Command::Resume(args) => commands::resume::run(&args, io).await,
        Command::Audit(args) => commands::audit::run(&args, io).await,
        Command::Reap(args) => commands::reap::run(&args, io).await,
        Command::Run(_)
        | Command::Check(_)
        | Command::Schema
        | Command::Version(_)
        | Command::Completions(_)
        | Command::Man(_) => Ok(ExitCode::SUCCESS),
    }
}

fn log(global: &GlobalArgs) -> anyhow::Result<()> {
    match telemetry::init(&global.log.log_level, global.log.log_format) {
        // By a test that runs the program a second time in its process; the first one stays.
        Ok(()) | Err(TelemetryError::Twice(_)) => {}
        Err(error) => return Err(error.into()),
    }
    tracing::debug!(version = env!("CARGO_PKG_VERSION"), "started");
    Ok(())
}

fn failed(error: &anyhow::Error, io: &mut Io<'_>) -> ExitCode {
    // What is wrong with a configuration says so itself, at each place.
    let named = if error.is::<reload::Failed>() { "" } else { "error: " };
    cli::failed(error, || writeln!(io.stderr, "{named}{error:#}"))
}
