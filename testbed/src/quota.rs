//! A shared Kafka cluster with tenants on it, one of which can go wild, and quota-enforcer watching: for the demo and the
//! test of the whole story.

mod config;
pub mod demo;
mod enforcer;
mod stage;
mod story;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::programs;

pub use config::Rule;
pub use enforcer::Enforcer;
pub use stage::{Options, Stage, permissions, permissions_of};
pub use story::{Narrator, Report, stage, tell};

/// Makes Prometheus rules of the tenants' promise with slo-engine's binary, in windows short enough for a story.
///
/// # Errors
/// When slo-engine cannot be run or refuses.
pub fn promise(slo_engine: &Path, spec: &Path, windows: &Path, to: &Path) -> Result<()> {
    let program = std::path::absolute(slo_engine)?;
    let [spec, windows, to] = [spec, windows, to].map(|path| path.display().to_string());
    let flags = [
        "generate",
        "--slo-period-windows-path",
        &windows,
        "--default-slo-period",
        "1h",
        "-i",
        &spec,
        "-o",
        &to,
    ];
    programs::run(&program, flags).context("generate the rules")?;
    Ok(())
}
