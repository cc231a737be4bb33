//! The product's part of the demo: specs in, rules out, checked by promtool.

use std::path::{Path, PathBuf};

use crate::programs;
use anyhow::{Context, Result};

use super::Args;
use super::screen::Screen;

/// Writes the rules into `folder` and hands back the pattern that Prometheus loads.
pub(crate) fn run(args: &Args, folder: &Path, screen: &Screen) -> Result<PathBuf> {
    let rules = folder.join("rules.yml");
    let program = std::path::absolute(&args.slo_engine)?;
    let (specs, windows) = (args.specs.display().to_string(), args.windows.display().to_string());
    let path = rules.display().to_string();
    let flags = [
        "generate",
        "--profile",
        &args.profile,
        "--slo-period-windows-path",
        &windows,
        "--default-slo-period",
        "1h",
        "-i",
        &specs,
        "-o",
        &path,
    ];
    screen.command(&format!("{} {}", args.slo_engine.display(), flags.join(" ")));
    programs::run(&program, flags).context("generate the rules")?;
    let text = std::fs::read_to_string(&rules).context("read the rules")?;
    let count = |word: &str| {
        text.lines().filter(|line| line.trim_start_matches([' ', '-']).starts_with(word)).count()
    };
    screen.say(&format!("{} recording rules and {} alerts", count("record: "), count("alert: ")));

    screen.command(&format!("promtool check rules {path}"));
    let checked = programs::run(&programs::promtool()?, ["check", "rules", &path])?;
    if let Some(line) = checked.lines().find(|line| line.contains("SUCCESS")) {
        screen.say(line.trim());
    }
    Ok(rules)
}
