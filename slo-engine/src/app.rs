//! The program: arguments and streams in, exit code out.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use daemon_kit::{args, telemetry};

use crate::cli::{Cli, Command, GlobalArgs, LogFormat, UsageError};
use crate::commands;

/// Findings, or something failed.
pub const EXIT_FINDINGS: u8 = 1;
/// The command line makes no sense.
pub const EXIT_USAGE: u8 = 2;

/// The streams of one run, and whether they may be coloured.
pub struct Io<'a> {
    /// Where `-i -` reads from.
    pub stdin: &'a mut dyn Read,
    /// Results.
    pub stdout: &'a mut dyn Write,
    /// Messages for people.
    pub stderr: &'a mut dyn Write,
    /// `stdout` is a terminal and nobody asked for no colour.
    pub color_out: bool,
    /// The same of `stderr`.
    pub color_err: bool,
    /// `--no-log`: say nothing but results and errors.
    pub quiet: bool,
    /// `--log-format json`: what fails is said as a JSON object.
    pub json_log: bool,
}

impl<'a> Io<'a> {
    /// Streams without colour, as tests and pipes have them.
    pub fn plain(stdin: &'a mut dyn Read, stdout: &'a mut dyn Write, stderr: &'a mut dyn Write) -> Self {
        Self { stdin, stdout, stderr, color_out: false, color_err: false, quiet: false, json_log: false }
    }
}

/// Runs with the process's own arguments and streams.
#[must_use]
pub fn main() -> ExitCode {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let color_allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let color_out = color_allowed && stdout.is_terminal();
    let color_err = color_allowed && stderr.is_terminal();
    let mut out = io::BufWriter::new(stdout.lock());
    let mut err = stderr.lock();
    let mut io = Io {
        stdin: &mut stdin.lock(),
        stdout: &mut out,
        stderr: &mut err,
        color_out,
        color_err,
        quiet: false,
        json_log: false,
    };
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
        Err(error) => return usage(&error, io),
    };
    start(&cli.global, io);
    let result = dispatch(cli.command, io).and_then(|code| {
        io.stdout.flush()?;
        Ok(code)
    });
    result.unwrap_or_else(|error| failed(&error, io))
}

fn dispatch(command: Command, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Generate(args) => commands::generate::run(&args, io),
        Command::Validate(args) => commands::validate::run(&args, io),
        Command::Diff(args) => commands::diff::run(&args, io),
        Command::Explain(args) => commands::explain::run(&args, io),
        Command::Backfill(args) => commands::backfill::run(&args, io),
        Command::Schema(args) => commands::schema::run(&args, io),
        Command::Version(args) => commands::version::run(&args, io),
        Command::Completions(args) => commands::completions::run(&args, io),
        Command::Man(args) => commands::man::run(&args, io),
    }
}

fn start(global: &GlobalArgs, io: &mut Io<'_>) {
    if global.no_color {
        io.color_out = false;
        io.color_err = false;
    }
    io.quiet = global.no_log;
    io.json_log = global.log_format == LogFormat::Json;
    let filter = match (global.no_log, global.debug) {
        (true, _) => "off",
        (false, true) => "info,slo_engine=debug,daemon_kit=debug",
        (false, false) => "warn",
    };
    let format = if io.json_log { args::LogFormat::Json } else { args::LogFormat::Text };
    // Set up already when a test runs the program a second time in its process; the first one stays.
    let set_up = telemetry::init(filter, format);
    tracing::debug!(set_up = set_up.is_ok(), version = env!("CARGO_PKG_VERSION"), "started");
}

/// `--help` and `--version` are no failures and belong on stdout.
fn usage(error: &clap::Error, io: &mut Io<'_>) -> ExitCode {
    let text = error.render();
    let (stream, color, code) = if error.use_stderr() {
        (&mut io.stderr, io.color_err, ExitCode::from(EXIT_USAGE))
    } else {
        (&mut io.stdout, io.color_out, ExitCode::SUCCESS)
    };
    let written = if color { write!(stream, "{}", text.ansi()) } else { write!(stream, "{text}") };
    match written.and_then(|()| stream.flush()) {
        Ok(()) => code,
        Err(_) => ExitCode::from(EXIT_FINDINGS),
    }
}

fn failed(error: &anyhow::Error, io: &mut Io<'_>) -> ExitCode {
    // The reader left (`| head`): nobody to tell.
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::from(EXIT_FINDINGS);
    }
    let message = format!("{error:#}");
    let written = if io.json_log {
        writeln!(io.stderr, "{}", serde_json::json!({ "level": "ERROR", "message": message }))
    } else {
        writeln!(io.stderr, "error: {message}")
    };
    if written.is_ok() && error.is::<UsageError>() {
        return ExitCode::from(EXIT_USAGE);
    }
    ExitCode::from(EXIT_FINDINGS)
}
