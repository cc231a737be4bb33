//! Rules as bytes: the files that Prometheus, its operator and Mimir read.
//!
//! Groups are rendered one by one ([`Section::render`]) and put together by an [`Assembler`] in the order they come, so
//! that neither a tree nor a whole file is ever in memory, and the same input gives the same bytes.

mod assembler;
mod header;
mod scalar;
mod section;
mod yaml;

pub use assembler::{Assembler, OutputError, Parts};
pub use header::{Header, is_ours};
pub use section::{Format, ObjectMeta, Section};
