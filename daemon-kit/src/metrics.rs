//! Metrics that every daemon has.
//!
//! Metrics of a daemon are one struct with a constructor that takes the [`Registry`]: two runtimes in one process have
//! two registries.

mod process;

use std::fmt;

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use process::Process;

/// Content type of [`encode`]'s text.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `<daemon>_build_info{version="…"} 1`, with dashes of the name as underscores.
pub fn register_build(registry: &mut Registry, daemon: &str, version: &str) {
    let name = format!("{}_build", daemon.replace('-', "_"));
    registry.register(name, "Which build this is", Info::new(vec![("version", version.to_owned())]));
}

/// All metrics as OpenMetrics text. It takes as long as there are series: keep it off the async threads.
///
/// # Errors
/// A collector's.
pub fn encode(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_told() {
        let mut registry = Registry::default();
        register_build(&mut registry, "my-daemon", "1.2.3");
        let text = encode(&registry).unwrap();
        assert!(text.contains("my_daemon_build_info{version=\"1.2.3\"} 1"), "{text}");
    }
}
