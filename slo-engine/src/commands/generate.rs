//! `slo-engine generate`.
//!
//! ```text
//! discover ──> batches of sources ──> load ──> chunks of SLOs ──> check, rules, YAML ──> temporary files ──> rename
//!                                 (in parallel)             (in parallel)        (in order)
//! ```
//!
//! Nothing is put in place before everything is complete, and no more than a batch of sources and a chunk of rules is in
//! memory.

mod args;
mod feed;
mod make;
mod pipeline;
mod read;
mod report;
mod target;

use std::process::ExitCode;

pub use args::Args;
use daemon_kit::cli::EXIT_FINDINGS;

use crate::app::Io;
use crate::cli::ProfileArg;
use crate::spec::LoadOptions;
use crate::{input, specs};
use make::Maker;
use pipeline::{Outcome, Run};
use read::Reader;
use report::Report;
use target::Target;

/// Writes the rules.
///
/// # Errors
/// What concerns no single spec: flags, unreadable inputs, outputs that cannot be written.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    args.check()?;
    let root = &args.input.input;
    let from_directory = std::fs::metadata(root).is_ok_and(|meta| meta.is_dir());
    let target = Target::of(&args.output.out, from_directory, root)?;
    let catalogue = specs::catalogue(&args.input, io)?;
    let inputs = input::discover(&args.input)?;
    let load = LoadOptions {
        default_period: args.input.default_slo_period,
        extra_labels: args.input.labels(),
        sloth: args.rules.profile == ProfileArg::Sloth,
        ..LoadOptions::default()
    };
    let mut run = Run {
        args,
        reader: Reader::new(&args.output, load, &inputs),
        maker: Maker::new(args, catalogue),
        report: Report::new(args.messages(io), io.quiet, args.rules.strict),
    };
    let outcome = run.write(&target, io)?;
    if let (Outcome::Written { without_output }, Target::Tree(tree), true) =
        (&outcome, &target, args.output.prune)
    {
        let removed = pipeline::prune(tree, root, &inputs, without_output)?;
        run.report.removed(removed);
    }
    let written = matches!(outcome, Outcome::Written { .. });
    run.report.summary(written, io)?;
    let fine = written && run.report.errors() == 0;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FINDINGS) })
}
