//! `quota-enforcer audit`: prove or print the audit chain.

use std::process::ExitCode;

use anyhow::Context as _;
use daemon_kit::cli::EXIT_FINDINGS;
use quota_enforcer_core::audit::{BrokenChain, Head, Proof, Verifier, digest};
use serde::Serialize;

use super::reach::direct;
use crate::adapters::ledger::{AuditLines, Place, read_ledger};
use crate::app::Io;
use crate::cli::{ConfigArgs, OutputArg};

/// Flags of `audit`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to do with it.
    #[command(subcommand)]
    pub what: What,
}

/// What to do with the chain.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    /// Check that no record was changed, taken out or put in.
    Verify(VerifyArgs),
    /// Print the records, one line each, exactly as they are chained.
    Export(ExportArgs),
}

/// Flags of `audit verify`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Exit code: 0 when the chain is whole, 1 when it is not.")]
pub struct VerifyArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputArg::Text)]
    pub output: OutputArg,
}

/// Flags of `audit export`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Each record names the SHA-256 of the line before it, without the line break:\n  \
    quota-enforcer audit export > audit.jsonl\n  \
    head -n 1 audit.jsonl | tr -d '\\n' | sha256sum    # is `prev` of the second record")]
pub struct ExportArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Proves or prints.
///
/// # Errors
/// The topics cannot be read.
pub async fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Verify(args) => verify(args, io).await,
        What::Export(args) => {
            let world = direct(&args.config.config).await?;
            let mut lines = AuditLines::open(world.place()).await?;
            while let Some(line) = lines.next().await {
                io.stdout.write_all(&line?)?;
                writeln!(io.stdout)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What `audit verify` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The chain is whole.
    pub whole: bool,
    /// What was proved.
    #[serde(flatten)]
    pub proof: Option<Proof>,
    /// The ledger names a record of this chain with its digest.
    pub anchored: bool,
    /// Where it is broken.
    pub broken: Option<String>,
}

async fn verify(args: &VerifyArgs, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let world = direct(&args.config.config).await?;
    let found = prove(world.place()).await?;
    match args.output {
        OutputArg::Json => super::json(io, &found)?,
        OutputArg::Text => render(&found, io.stdout)?,
    }
    Ok(if found.whole { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FINDINGS) })
}

/// Proves the chain of the audit topic, up to the record that the ledger anchors and beyond.
///
/// # Errors
/// The topics cannot be read.
pub async fn prove(place: &Place) -> anyhow::Result<Found> {
    // Before the lines: what is written meanwhile only makes the chain longer.
    let anchor = read_ledger(place).await.context("read the ledger")?.head;
    let mut lines = AuditLines::open(place).await?;
    let mut proving = Proving::new(anchor);
    while let Some(line) = lines.next().await {
        if let Err(broken) = proving.take(&line?) {
            return Ok(Found {
                whole: false,
                proof: None,
                anchored: false,
                broken: Some(broken.to_string()),
            });
        }
    }
    Ok(proving.finish(lines.low()))
}

/// Proves a chain that may grow while it is read: the anchor that was read before has to be a record of it, not its end.
#[derive(Debug)]
pub struct Proving {
    verifier: Verifier,
    anchor: Option<Head>,
    passed: bool,
}

impl Proving {
    /// With the ledger's anchor, as it was before the first line was read.
    #[must_use]
    pub fn new(anchor: Option<Head>) -> Self {
        Self { verifier: Verifier::default(), anchor, passed: false }
    }

    /// Takes the next line.
    ///
    /// # Errors
    /// When it does not follow.
    pub fn take(&mut self, line: &[u8]) -> Result<(), BrokenChain> {
        let record = self.verifier.take(line)?;
        self.passed |= self.anchor == Some(Head { seq: record.seq, hash: digest(line) });
        Ok(())
    }

    /// What it comes to. `low`: the offset that the topic begins with.
    #[must_use]
    pub fn finish(self, low: i64) -> Found {
        let anchored = self.passed;
        let anchor = self.anchor.as_ref().filter(|_| !anchored);
        match self.verifier.finish(anchor, low > 0) {
            Ok(proof) => Found { whole: true, proof: Some(proof), anchored, broken: None },
            Err(broken) => Found { whole: false, proof: None, anchored, broken: Some(broken.to_string()) },
        }
    }
}

/// For people.
///
/// # Errors
/// The stream's.
pub fn render(found: &Found, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    if let Some(broken) = &found.broken {
        return writeln!(out, "BROKEN: {broken}");
    }
    let Some(proof) = &found.proof else { return Ok(()) };
    match (proof.records, proof.head.seq) {
        (0, 0) => return writeln!(out, "nothing was recorded"),
        (0, last) => return writeln!(out, "records up to {last} are gone, as retention does it"),
        _ => {}
    }
    writeln!(out, "whole: {} records, {} to {}", proof.records, proof.first, proof.head.seq)?;
    if proof.first > 1 {
        writeln!(out, "records before {} are gone, as retention does it", proof.first)?;
    }
    writeln!(out, "head: {}", proof.head.hash)?;
    let anchored = if found.anchored { "anchored in the ledger" } else { "the ledger has no anchor for it" };
    writeln!(out, "{anchored}")
}
