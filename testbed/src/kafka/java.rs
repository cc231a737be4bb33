//! Kafka's classes, as `testbed/setup.sh kafka` fetched them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A file or folder that the set-up made. Resolved, for the class archive names the jars by their full path.
fn cached(name: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/kafka").join(name);
    path.canonicalize().with_context(|| format!("Kafka's {name} is not there: run `make setup`"))
}

/// What `kafka-storage format` wrote; the same for every cluster of this version.
///
/// # Errors
/// When the set-up has not been run.
pub(crate) fn bootstrap_checkpoint() -> Result<PathBuf> {
    cached("bootstrap.checkpoint")
}

/// The JMX exporter's agent with the rule file that is shipped, listening on a loopback port.
///
/// # Errors
/// When a file is missing.
pub(crate) fn exporter(port: u16) -> Result<String> {
    let jar = cached("libs/jmx_prometheus_javaagent-1.0.1.jar")?;
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/jmx-exporter/kafka.yml");
    let rules = rules.canonicalize().context("find the JMX exporter's rules")?;
    Ok(format!("-javaagent:{}=127.0.0.1:{port}:{}", jar.display(), rules.display()))
}

/// Arguments of `java` up to the class.
///
/// # Errors
/// When the set-up has not been run.
pub(crate) fn arguments(heap_mib: u16) -> Result<Vec<String>> {
    let libs = cached("libs")?;
    let logger = "-Dorg.slf4j.simpleLogger";
    let mut arguments = vec![
        format!("-Xmx{heap_mib}m"),
        "-XX:+UseSerialGC".to_owned(),
        // The second compiler costs a start more than a test gets back.
        "-XX:TieredStopAtLevel=1".to_owned(),
        format!("{logger}.defaultLogLevel=warn"),
        // Peers that are not up yet are no news.
        format!("{logger}.log.org.apache.kafka.clients.NetworkClient=error"),
        format!("{logger}.showDateTime=true"),
        format!("{logger}.dateTimeFormat=HH:mm:ss.SSS"),
        "-cp".to_owned(),
        format!("{}/*", libs.display()),
    ];
    if let Ok(archive) = cached("kafka.jsa") {
        arguments.push(format!("-XX:SharedArchiveFile={}", archive.display()));
        // An archive that does not fit is ignored, and need not be talked about.
        arguments.extend(["-Xlog:cds=off".to_owned(), "-Xlog:cds+dynamic=off".to_owned()]);
    }
    Ok(arguments)
}
