//! Sources in, outputs out, in bounded memory and on all processors.

use std::io::{Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use daemon_kit::diagnostic::{Diagnostic, Level};
use rayon::prelude::*;

use super::args::Args;
use super::feed::{Counts, Feed};
use super::make::{Made, Maker};
use super::read::{Item, Read, Reader};
use super::report::Report;
use super::target::{Target, relative};
use crate::adapters::rule_files::{self, RuleTree, SingleFile, StagedFiles};
use crate::app::Io;
use crate::cli::ProfileArg;
use crate::input::Input;
use crate::output::{Assembler, Header, OutputError, Parts};

/// SLOs whose rules are in memory together.
const CHUNK: usize = 64;

/// Fewer are not worth handing to other threads.
const FEW: usize = 4;

/// Everything that a run needs.
pub(super) struct Run<'a> {
    pub(super) args: &'a Args,
    pub(super) reader: Reader<'a>,
    pub(super) maker: Maker,
    pub(super) report: Report,
}

/// What became of the output.
pub(super) enum Outcome {
    /// It is in place. Of a tree: the inputs without SLOs, to which no output belongs.
    Written {
        /// Their paths in the tree.
        without_output: Vec<PathBuf>,
    },
    /// There were errors: everything is as it was.
    Kept,
}

impl Run<'_> {
    pub(super) fn write(&mut self, target: &Target, io: &mut Io<'_>) -> anyhow::Result<Outcome> {
        match target {
            Target::Stdout => self.write_stdout(io),
            Target::File(path) => self.write_file(path, io),
            Target::Tree(root) => self.write_tree(root, io),
        }
    }

    /// Through a temporary file, because what is wrong with the last SLO must keep the first from being printed.
    fn write_stdout(&mut self, io: &mut Io<'_>) -> anyhow::Result<Outcome> {
        let (mut spool, counts) = self.one_output(tempfile::spooled_tempfile(1 << 20), io)?;
        if !self.may_commit(counts, io)? {
            return Ok(Outcome::Kept);
        }
        spool.seek(SeekFrom::Start(0))?;
        std::io::copy(&mut spool, io.stdout)?;
        self.report.wrote(0, counts);
        Ok(Outcome::Written { without_output: Vec::new() })
    }

    fn write_file(&mut self, path: &Path, io: &mut Io<'_>) -> anyhow::Result<Outcome> {
        let (file, counts) = self.one_output(SingleFile::new(path.to_owned()), io)?;
        if !self.may_commit(counts, io)? {
            return Ok(Outcome::Kept);
        }
        let files = file.commit().with_context(|| path.display().to_string())?;
        self.report.wrote(files, counts);
        Ok(Outcome::Written { without_output: Vec::new() })
    }

    fn one_output<P: Parts>(&mut self, parts: P, io: &mut Io<'_>) -> anyhow::Result<(P, Counts)> {
        let mut feed = Feed::new(assembler(self.args, parts));
        while let Some(mut batch) = self.reader.batch(io.stdin, false) {
            for source in &mut batch {
                self.report.say_all(std::mem::take(&mut source.loaded.diagnostics), io)?;
            }
            let slos: Vec<_> = batch.iter().flat_map(Read::slos).collect();
            // While one chunk is made the one before is written.
            let mut before: Option<(&[Item<'_>], Vec<Made>)> = None;
            for chunk in slos.chunks(CHUNK).map(Some).chain([None]) {
                let mut made = Vec::new();
                let (maker, report, feed) = (&self.maker, &mut self.report, &mut feed);
                let (made_now, io_now) = (&mut made, &mut *io);
                rayon::in_place_scope(|scope| {
                    if let Some(chunk) = chunk {
                        scope.spawn(move |_| {
                            *made_now = chunk
                                .par_iter()
                                .map(|slo| maker.make(slo.located, &slo.place.section))
                                .collect();
                        });
                    }
                    before.take().map_or(Ok(()), |(chunk, made)| {
                        chunk.iter().zip(made).try_for_each(|(slo, mut made)| {
                            report.say_all(std::mem::take(&mut made.diagnostics), io_now)?;
                            Ok::<_, anyhow::Error>(feed.slo(slo.document, slo.place, &made)?)
                        })
                    })
                })?;
                before = chunk.map(|chunk| (chunk, made));
            }
        }
        Ok(feed.finish()?)
    }

    fn write_tree(&mut self, root: &Path, io: &mut Io<'_>) -> anyhow::Result<Outcome> {
        let tree = RuleTree::open(root).with_context(|| root.display().to_string())?;
        let mut staged = Vec::new();
        let mut without_output = Vec::new();
        let mut counts = Counts::default();
        let result = self.stage(&tree, &mut staged, &mut without_output, &mut counts, io);
        if !matches!(result, Ok(())) || !self.may_commit(counts, io)? {
            tree.abandon();
            return result.map(|()| Outcome::Kept);
        }
        let files = tree
            .commit(staged)
            .map_err(|(path, error)| anyhow::Error::from(error).context(path.display().to_string()))?;
        self.report.wrote(files, counts);
        Ok(Outcome::Written { without_output })
    }

    fn stage(
        &mut self,
        tree: &RuleTree,
        staged: &mut Vec<StagedFiles>,
        without_output: &mut Vec<PathBuf>,
        counts: &mut Counts,
        io: &mut Io<'_>,
    ) -> anyhow::Result<()> {
        while let Some(mut batch) = self.reader.batch(io.stdin, true) {
            let (args, maker) = (self.args, &self.maker);
            let outputs: Vec<_> =
                batch.par_iter().map(|source| stage_one(args, maker, tree, source)).collect();
            for (source, output) in batch.iter_mut().zip(outputs) {
                self.report.say_all(std::mem::take(&mut source.loaded.diagnostics), io)?;
                let path = relative(source.input);
                let Staged { files, counts: one, diagnostics } =
                    output.with_context(|| path.display().to_string())?;
                self.report.say_all(diagnostics, io)?;
                *counts += one;
                match files {
                    Some(files) => staged.push(files),
                    None if source.failed => {}
                    None => without_output.push(path),
                }
            }
        }
        Ok(())
    }

    /// Whether the output may take its place: not after errors (unless `--keep-going`), and not if it would hold nothing
    /// although there are SLOs.
    fn may_commit(&mut self, counts: Counts, io: &mut Io<'_>) -> anyhow::Result<bool> {
        if self.report.errors() > 0 {
            return Ok(self.args.output.keep_going && counts.slos > 0);
        }
        if counts.slos > 0 && counts.rules == 0 && counts.objects == 0 {
            let nothing = Diagnostic::error("no-rules", "0 SLO Prometheus rules generated");
            let nothing = nothing.help("flags or disabled alerts leave nothing of these SLOs");
            self.report.say(nothing, io)?;
            return Ok(false);
        }
        Ok(true)
    }
}

/// One output of a tree.
#[derive(Default)]
struct Staged {
    /// `None` if the input has no SLOs, or none that is sound.
    files: Option<StagedFiles>,
    counts: Counts,
    diagnostics: Vec<Diagnostic>,
}

fn stage_one(args: &Args, maker: &Maker, tree: &RuleTree, source: &Read<'_>) -> Result<Staged, OutputError> {
    let path = relative(source.input);
    let slos: Vec<_> = source.slos().collect();
    // An output that an earlier run wrote must not outlive the SLOs it was made from: it becomes empty, or is pruned.
    if slos.is_empty() && (source.failed || args.output.prune || !tree.wrote(&path)) {
        return Ok(Staged::default());
    }
    let mut feed = Feed::new(assembler(args, tree.output(&path)));
    let mut diagnostics = Vec::new();
    for chunk in slos.chunks(CHUNK) {
        let make = |slo: &Item<'_>| maker.make(slo.located, &slo.place.section);
        let made: Vec<Made> = if chunk.len() < FEW {
            chunk.iter().map(make).collect()
        } else {
            chunk.par_iter().map(make).collect()
        };
        for (slo, mut made) in chunk.iter().zip(made) {
            diagnostics.append(&mut made.diagnostics);
            feed.slo(slo.document, slo.place, &made)?;
        }
    }
    let (output, counts) = feed.finish()?;
    let failed = source.failed || diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error);
    // Nothing of it is sound: the old file, if there is one, is better than an empty one.
    let files = if failed && counts.slos == 0 { None } else { Some(output.finish()?) };
    Ok(Staged { files, counts, diagnostics })
}

fn assembler<P: Parts>(args: &Args, parts: P) -> Assembler<P> {
    let profile = match args.rules.profile {
        ProfileArg::Lean => "lean",
        ProfileArg::Sloth => "sloth",
    };
    Assembler::new(parts, Header { version: env!("CARGO_PKG_VERSION"), profile }, args.output.max_bytes)
}

/// Removes outputs whose spec is gone (`--prune`).
pub(super) fn prune(
    root: &Path,
    specs: &Path,
    inputs: &[Input],
    without_output: &[PathBuf],
) -> anyhow::Result<usize> {
    let written: std::collections::HashSet<PathBuf> = inputs.iter().map(relative).collect();
    let keep = |path: &Path| {
        let spec = rule_files::whole_path(path);
        if written.contains(&spec) {
            return !without_output.contains(&spec);
        }
        // Not read because of --fs-include or --fs-exclude: not gone.
        specs.join(&spec).is_file()
    };
    let removed = rule_files::prune(root, &keep)
        .map_err(|(path, error)| anyhow::Error::from(error).context(path.display().to_string()))?;
    Ok(removed.len())
}
