//! One file per command: `Args` (its flags), `run(args, io)`, and `render` for what people read.

pub mod audit;
pub mod check;
pub mod completions;
pub mod exempt;
pub mod explain;
pub mod history;
pub mod man;
pub mod order;
pub mod pause;
pub mod plan;
mod reach;
pub mod reap;
pub mod release;
pub mod resume;
pub mod run;
pub mod schema;
pub mod status;
mod text;
pub mod unexempt;
pub mod version;

use serde::Serialize;

use crate::app::Io;

/// A value as JSON, for scripts.
fn json<T: Serialize>(io: &mut Io<'_>, value: &T) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *io.stdout, value)?;
    writeln!(io.stdout)?;
    Ok(())
}
