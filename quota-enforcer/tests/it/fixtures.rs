//! A small configuration.

use std::path::{Path, PathBuf};

use daemon_kit::source::Source;
use quota_enforcer::spec::{self, Settings};

/// One rule for users, servers that are not there.
pub(crate) const CONFIG: &str = "\
kafka:
  bootstrap.servers: 127.0.0.1:1
prometheus:
  url: http://127.0.0.1:1
rules:
  - name: greedy
    select: {users: ['*']}
    entity: user
    measure: produce
    enter: 40MB/s
    release: 20MB/s
    limit: 30MB/s
";

/// Of [`CONFIG`].
pub(crate) fn settings() -> Settings {
    let loaded = spec::load(&Source::new("quota-enforcer.yaml", CONFIG));
    loaded.map_err(|errors| errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>()).unwrap().0
}

/// Puts a file into a test's own folder.
#[allow(clippy::disallowed_methods, reason = "nobody reads it meanwhile")]
pub(crate) fn put(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
