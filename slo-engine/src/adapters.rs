//! What touches the world: files, servers.

pub mod atomic_file;
pub mod prometheus;
pub mod rule_files;
