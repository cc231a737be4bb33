//! `slo-engine backfill`: the past of an SLO as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.

mod fill;
mod moment;
mod openmetrics;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use daemon_kit::cli::EXIT_FINDINGS;
use daemon_kit::diagnostic::{self, Level};
use daemon_kit::prom::Client;
use slo_engine_core::backfill::Blueprint;
use slo_engine_core::profile::lean::LeanOptions;
use slo_engine_core::profile::sloth::names;
use slo_engine_core::{PeriodWindows, PromDuration, Slo};

use crate::adapters::atomic_file::{AtomicFile, Finished};
use crate::app::Io;
use crate::cli::{InputArgs, PrometheusArgs};
use crate::specs;
use fill::Filler;
pub use moment::Moment;
use openmetrics::Spool;

/// Flags of `backfill`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    slo-engine backfill -i slos/ --prometheus http://127.0.0.1:9090 -o past.om\n  \
    promtool tsdb create-blocks-from openmetrics --max-block-duration=162h past.om blocks/\n\n\
    docs/backfill.md says how to give the blocks to a running Prometheus without losing anything.")]
pub struct Args {
    /// File to write, or `-` for standard output; the last hours go to FILE.recent.om, because they need care
    #[arg(short = 'o', long = "out", visible_alias = "output", value_name = "FILE", default_value = "-")]
    pub out: PathBuf,
    /// Start: a duration before now, a time (RFC 3339), or seconds since 1970 [default: one period before --to]
    #[arg(long, value_name = "WHEN", value_parser = Moment::parse)]
    pub from: Option<Moment>,
    /// End
    #[arg(long, value_name = "WHEN", default_value = "now", value_parser = Moment::parse)]
    pub to: Moment,
    /// Evaluation interval of the rules, as given to `generate` [default: as `generate` chooses it]
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::parse_interval)]
    pub interval: Option<PromDuration>,
    /// Scrape interval behind SLOs that state none, as given to `generate`
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::cli::parse_interval)]
    pub scrape_interval: PromDuration,
    /// Write ratios and metadata also where they are recorded already, for example by Sloth's rules
    #[arg(long)]
    pub replace: bool,
    /// Go on although the rules count events already
    #[arg(long)]
    pub force: bool,
    /// The server.
    #[command(flatten)]
    pub prometheus: PrometheusArgs,
    /// Where specs come from.
    #[command(flatten)]
    pub input: InputArgs,
}

/// Runs it.
///
/// # Errors
/// Specs that cannot be read, a server that cannot be asked, a file that cannot be written.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<ExitCode> {
    let client = args.prometheus.need_client("backfill")?;
    let Some(slos) = load(args, io)? else { return Ok(ExitCode::from(EXIT_FINDINGS)) };
    let job = Job {
        slos,
        lean: LeanOptions {
            interval: args.interval,
            scrape_interval: args.scrape_interval,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..LeanOptions::default()
        },
        client,
        from: args.from,
        to: args.to,
        now_ms: jiff::Timestamp::now().as_millisecond(),
        replace: args.replace,
        force: args.force,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let complete = runtime.block_on(write(job, &args.out, io))?;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FINDINGS) })
}

/// The SLOs and their windows; `None` after errors, which are told.
fn load(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Option<Vec<(Slo, PeriodWindows)>>> {
    let catalogue = specs::catalogue(&args.input, io)?;
    let loaded = specs::read(&args.input, false, io)?.loaded;
    let format = diagnostic::Format::Text { color: io.color_err };
    for found in loaded.diagnostics.iter().filter(|found| found.level == Level::Error || !io.quiet) {
        diagnostic::write(io.stderr, found, format)?;
    }
    if loaded.has_errors() {
        return Ok(None);
    }
    let mut slos = Vec::new();
    for located in loaded.slos.into_iter().filter(|located| !located.no_rules) {
        let windows = specs::windows(&catalogue, &located.slo)?;
        slos.push((located.slo, windows));
    }
    Ok(Some(slos))
}

/// What to fill and from where.
#[derive(Clone, Debug)]
pub struct Job {
    /// The SLOs, with their windows.
    pub slos: Vec<(Slo, PeriodWindows)>,
    /// How their rules are made.
    pub lean: LeanOptions,
    /// The server.
    pub client: Client,
    /// Start; `None` is one period before the end.
    pub from: Option<Moment>,
    /// End.
    pub to: Moment,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// Fill also what is recorded already.
    pub replace: bool,
    /// Fill although the rules count already.
    pub force: bool,
}

/// Writes the past of all SLOs to a file (`-` is standard output), and what is recent to a second one beside it
/// (`past.recent.om` for `past.om`): of all or of none. Failures are told on standard error,
/// one line for each SLO.
///
/// # Errors
/// Writing failed; the failure of an SLO is `Ok(false)`.
pub async fn write(job: Job, out: &Path, io: &mut Io<'_>) -> anyhow::Result<bool> {
    let Job { slos, lean, client, from, to, now_ms, replace, force } = job;
    let to_ms = to.resolve(now_ms).min(now_ms);
    let is_stdout = out == Path::new("-");
    let temp = std::env::temp_dir();
    let beside = out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut spool = Spool::new(if is_stdout { &temp } else { beside }, recent_from(now_ms));
    let mut filler = Filler {
        client,
        from_ms: from.map(|from| from.resolve(now_ms)),
        to_ms,
        now_ms,
        replace,
        force,
        quiet: io.quiet,
        stderr: io.stderr,
    };
    let mut complete = true;
    for (slo, windows) in &slos {
        let lean = LeanOptions { mode: names::mode(slo.spec).to_owned(), ..lean.clone() };
        let filled = match Blueprint::new(slo, windows, &lean) {
            Ok(blueprint) => filler.fill(&blueprint, &mut spool).await,
            Err(why) => Err(anyhow::anyhow!("{}: {why}", slo.id)),
        };
        if let Err(error) = filled {
            writeln!(filler.stderr, "error: {error:#}")?;
            complete = false;
        }
    }
    if !complete {
        writeln!(io.stderr, "error: nothing was written")?;
        return Ok(false);
    }
    if is_stdout {
        spool.finish(io.stdout, None)?;
        return Ok(true);
    }
    save(spool, out, io)?;
    Ok(true)
}

/// Puts the files in place and says what to do with them.
fn save(spool: Spool<'_>, out: &Path, io: &mut Io<'_>) -> anyhow::Result<()> {
    let samples = spool.samples;
    let late = out.with_extension("recent.om");
    let begin =
        |path: &Path| AtomicFile::create(path).with_context(|| format!("cannot write {}", path.display()));
    let mut file = begin(out)?;
    let mut recent = if spool.has_recent() { Some(begin(&late)?) } else { None };
    spool
        .finish(&mut file, recent.as_mut().map(|file| file as &mut dyn std::io::Write))
        .context("cannot write")?;
    let finished =
        [Some(file), recent].into_iter().flatten().map(AtomicFile::finish).collect::<Result<Vec<_>, _>>()?;
    let split = finished.len() > 1;
    finished.into_iter().try_for_each(Finished::commit)?;
    if io.quiet {
        return Ok(());
    }
    let shown = out.display();
    writeln!(io.stderr, "{shown}: {samples} samples; make blocks with")?;
    writeln!(
        io.stderr,
        "  promtool tsdb create-blocks-from openmetrics --max-block-duration=162h {shown} blocks/"
    )?;
    if split {
        let late = late.display();
        writeln!(
            io.stderr,
            "{late} holds the samples since the last even hour at least 3 hours ago, which need care: without it the hours up \
             to now are a hole; with it, a restart within 3 hours may lose recent samples of all series unless its blocks \
             are marked (docs/backfill.md, \"Blocks that reach the present\")"
        )?;
        writeln!(io.stderr, "  promtool tsdb create-blocks-from openmetrics {late} recent-blocks/")?;
    }
    Ok(())
}

/// Samples from here on may be in Prometheus' head and write-ahead log only: its blocks end at even hours, and the head
/// spans up to three hours.
const fn recent_from(now_ms: i64) -> i64 {
    const TWO_HOURS_MS: i64 = 2 * 3_600_000;
    (now_ms - 3 * 3_600_000).div_euclid(TWO_HOURS_MS) * TWO_HOURS_MS
}
