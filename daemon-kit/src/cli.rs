//! What the command lines of all daemons have in common: exit codes, help and errors on the right stream, completions and
//! manual pages.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use clap::Command;
pub use clap_complete::Shell;

/// Findings, or something failed.
pub const EXIT_FINDINGS: u8 = 1;
/// The command line makes no sense.
pub const EXIT_USAGE: u8 = 2;

/// A command line that parses but makes no sense; ends with [`EXIT_USAGE`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// A stream, and whether it may be coloured.
pub struct Stream<'a> {
    /// It.
    pub to: &'a mut dyn Write,
    /// It may.
    pub color: bool,
}

/// Whether standard output and standard error may be coloured: terminals, unless `NO_COLOR` is set (<https://no-color.org>).
#[must_use]
pub fn colors() -> (bool, bool) {
    let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    (allowed && io::stdout().is_terminal(), allowed && io::stderr().is_terminal())
}

/// Says what clap has to say, and ends. `--help` and `--version` are no failures and belong on `out`.
#[must_use]
pub fn usage<'a>(error: &clap::Error, out: Stream<'a>, err: Stream<'a>) -> ExitCode {
    let (stream, code) =
        if error.use_stderr() { (err, ExitCode::from(EXIT_USAGE)) } else { (out, ExitCode::SUCCESS) };
    let text = error.render();
    let written = match stream.color {
        true => write!(stream.to, "{}", text.ansi()),
        false => write!(stream.to, "{text}"),
    };
    match written.and_then(|()| stream.to.flush()) {
        Ok(()) => code,
        Err(_) => ExitCode::from(EXIT_FINDINGS),
    }
}

/// Has a failure said, and ends; silently when the reader of a stream left (`| head`): nobody is there to tell.
pub fn failed(error: &anyhow::Error, say: impl FnOnce() -> io::Result<()>) -> ExitCode {
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::from(EXIT_FINDINGS);
    }
    if say().is_ok() && error.is::<UsageError>() {
        return ExitCode::from(EXIT_USAGE);
    }
    ExitCode::from(EXIT_FINDINGS)
}

/// Writes the completion script of a shell.
///
/// # Errors
/// Writing failed.
pub fn completions(mut program: Command, shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    // The generator panics when its stream fails, so it gets one that cannot.
    let mut script = Vec::new();
    let name = program.get_name().to_owned();
    clap_complete::generate(shell, &mut program, name, &mut script);
    out.write_all(&script)
}

/// Writes the manual page of a program, or of a command in it, in roff.
///
/// # Errors
/// Writing failed, or there is no such command.
pub fn man(program: Command, command: &[String], out: &mut dyn Write) -> anyhow::Result<()> {
    let mut page = program;
    page.build();
    let version = page.get_version().unwrap_or_default();
    let source = format!("{} {version}", page.get_name());
    for name in command {
        let Some(inner) = page.find_subcommand(name).cloned() else {
            return Err(UsageError(format!("there is no command `{}`", command.join(" "))).into());
        };
        page = inner;
    }
    clap_mangen::Man::new(page).source(source).render(&mut &mut *out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        Command::new("x")
            .version("1.2.3")
            .subcommand(Command::new("audit").subcommand(Command::new("verify").about("Proves it.")))
    }

    /// What `usage` writes to either stream, and how it ends.
    fn said(args: &[&str]) -> (String, String, ExitCode) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let error = program().try_get_matches_from(args).unwrap_err();
        let code = usage(&error, Stream { to: &mut out, color: false }, Stream { to: &mut err, color: true });
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), code)
    }

    #[test]
    fn help_is_a_result_and_an_error_is_none() {
        let (out, err, code) = said(&["x", "--version"]);
        assert_eq!((out.as_str(), err.as_str(), code), ("x 1.2.3\n", "", ExitCode::SUCCESS));
        let (out, err, code) = said(&["x", "--wrong"]);
        assert!(out.is_empty() && err.contains("\u{1b}[") && err.contains("--wrong"), "{err}");
        assert_eq!(code, ExitCode::from(EXIT_USAGE));
    }

    #[test]
    fn a_failure_is_said_unless_nobody_listens() {
        let end = |error: anyhow::Error, written: io::Result<()>| {
            let mut told = false;
            let code = failed(&error, || {
                told = true;
                written
            });
            (told, code)
        };
        let usage = || UsageError("no".to_owned()).into();
        let findings = ExitCode::from(EXIT_FINDINGS);
        assert_eq!(end(usage(), Ok(())), (true, ExitCode::from(EXIT_USAGE)));
        assert_eq!(end(usage(), Err(io::ErrorKind::StorageFull.into())), (true, findings));
        assert_eq!(end(anyhow::anyhow!("broken"), Ok(())), (true, findings));
        let left = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(end(left.into(), Ok(())), (false, findings));
    }

    #[test]
    fn pages_are_found_by_their_commands() {
        let page = |command: &[&str]| {
            let command: Vec<String> = command.iter().map(ToString::to_string).collect();
            let mut out = Vec::new();
            man(program(), &command, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert!(page(&[]).unwrap().contains("\"x 1.2.3\""));
        let verify = page(&["audit", "verify"]).unwrap();
        assert!(verify.contains("Proves it") && verify.contains("\"x 1.2.3\""), "{verify}");
        let error = page(&["audit", "nothing"]).unwrap_err();
        assert!(error.is::<UsageError>() && error.to_string().contains("`audit nothing`"));
    }

    #[test]
    fn a_stream_that_fails_is_an_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(completions(program(), Shell::Bash, &mut Full).is_err());
        assert!(man(program(), &[], &mut Full).is_err());
    }
}
