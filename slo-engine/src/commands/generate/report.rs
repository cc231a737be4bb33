//! What is said on standard error.

use daemon_kit::diagnostic::{self, Diagnostic, Level, Summary};

use super::feed::Counts;
use crate::app::Io;
use crate::specs::STRICT;

/// Says what was found, counts it.
pub(super) struct Report {
    format: diagnostic::Format,
    quiet: bool,
    strict: bool,
    found: Summary,
    counts: Counts,
    files: usize,
    removed: usize,
}

impl Report {
    pub(super) fn new(format: diagnostic::Format, quiet: bool, strict: bool) -> Self {
        Self {
            format,
            quiet,
            strict,
            found: Summary::default(),
            counts: Counts::default(),
            files: 0,
            removed: 0,
        }
    }

    /// Says one thing.
    pub(super) fn say(&mut self, mut diagnostic: Diagnostic, io: &mut Io<'_>) -> std::io::Result<()> {
        if self.strict && STRICT.contains(&diagnostic.code) {
            diagnostic.level = Level::Error;
        }
        self.found.add(diagnostic.level);
        if self.quiet && diagnostic.level != Level::Error {
            return Ok(());
        }
        diagnostic::write(io.stderr, &diagnostic, self.format)
    }

    pub(super) fn say_all(&mut self, diagnostics: Vec<Diagnostic>, io: &mut Io<'_>) -> std::io::Result<()> {
        diagnostics.into_iter().try_for_each(|diagnostic| self.say(diagnostic, io))
    }

    pub(super) fn wrote(&mut self, files: usize, counts: Counts) {
        self.files += files;
        self.counts += counts;
    }

    pub(super) fn removed(&mut self, files: usize) {
        self.removed += files;
    }

    pub(super) const fn errors(&self) -> usize {
        self.found.errors
    }

    /// The last line: what was done, or that nothing was.
    pub(super) fn summary(&self, written: bool, io: &mut Io<'_>) -> std::io::Result<()> {
        if self.quiet || !matches!(self.format, diagnostic::Format::Text { .. }) {
            return Ok(());
        }
        let found =
            if self.found == Summary::default() { String::new() } else { format!(" ({})", self.found) };
        if !written {
            return writeln!(io.stderr, "nothing written{found}");
        }
        let Counts { slos, rules, .. } = self.counts;
        write!(io.stderr, "{rules} rules for {slos} SLO{}", if slos == 1 { "" } else { "s" })?;
        match self.files {
            0 => {}
            1 => write!(io.stderr, " in 1 file")?,
            files => write!(io.stderr, " in {files} files")?,
        }
        if self.removed > 0 {
            write!(io.stderr, ", {} removed", self.removed)?;
        }
        writeln!(io.stderr, "{found}")
    }
}
