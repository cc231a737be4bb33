//! What touches the world: files.

pub mod atomic_file;
pub mod rule_files;
