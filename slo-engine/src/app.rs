//! The program: arguments and streams in, exit code out.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use daemon_kit::cli::{self, Stream};
use daemon_kit::{args, telemetry};

use crate::cli::{Cli, Command, GlobalArgs, LogFormat};
use crate::commands;

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
    let (color_out, color_err) = cli::colors();
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
        Err(error) => {
            let out = Stream { to: io.stdout, color: io.color_out };
            return cli::usage(&error, out, Stream { to: io.stderr, color: io.color_err });
        }
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

fn failed(error: &anyhow::Error, io: &mut Io<'_>) -> ExitCode {
    let message = format!("{error:#}");
    cli::failed(error, || match io.json_log {
        true => writeln!(io.stderr, "{}", serde_json::json!({ "level": "ERROR", "message": message })),
        false => writeln!(io.stderr, "error: {message}"),
    })
}
