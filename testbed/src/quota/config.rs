//! The enforcer's configuration on the stage.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// The one rule of the stage, with what tests choose beside it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// It is in the file.
    pub enabled: bool,
    /// `observe`, `flag` or `enforce`.
    pub mode: &'static str,
    /// `produce`, `consume` or `request-time`.
    pub measure: &'static str,
    /// Over all brokers, bytes a second; percent of a thread for `request-time`.
    pub enter: u32,
    /// The same.
    pub limit: u32,
    /// `k of n`.
    pub confirm: &'static str,
    /// The SLO and the burn rate that must be passed, if any.
    pub when: Option<(&'static str, f64)>,
    /// Times, as in the file: minimum, duration, longest.
    pub hold: (&'static str, &'static str, &'static str),
    /// Connections to a broker, and bytes of a request.
    pub burst: (usize, u32),
    /// The default that makes users measurable is allowed.
    pub sentinel: bool,
    /// `user`, `client-id` or `user+client-id`.
    pub entity: &'static str,
    /// How long a leader may act without writing its ledger.
    pub lease: &'static str,
    /// How long it may be silent before another may lead, other than by default.
    pub session: Option<Duration>,
    /// Throttles at the same time, and writes that tighten a minute.
    pub caps: (u32, u32),
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            enabled: true,
            mode: "enforce",
            measure: "produce",
            enter: 3_000_000,
            limit: 900_000,
            confirm: "3 of 4",
            when: None,
            hold: ("10s", "10m", "1h"),
            burst: (1, 131_072),
            sentinel: true,
            entity: "user",
            lease: "10s",
            session: None,
            caps: (10, 60),
        }
    }
}

/// The file's text.
pub(super) fn text(
    kafka: &BTreeMap<String, String>,
    prometheus: &str,
    admin: SocketAddr,
    token: &Path,
    scrape: Duration,
    rule: &Rule,
) -> String {
    let mut text = "kafka:\n".to_owned();
    let mut line = |line: String| writeln!(text, "{line}").is_ok();
    for (key, value) in kafka {
        line(format!("  {key}: {value:?}"));
    }
    if let Some(session) = rule.session {
        line(format!("  session.timeout.ms: {}", session.as_millis()));
    }
    let scrape = scrape.as_secs();
    line(format!("prometheus:\n  url: {prometheus}\n  timeout: 5s"));
    line(format!("evidence:\n  scrape_interval: {scrape}s\n  max_age: {}s", (scrape * 4).max(5)));
    line(format!("admin:\n  listen: {admin}\n  token_file: {}", token.display()));
    line("tick: 1s\nmute_bound: 10s".to_owned());
    line(format!("ledger:\n  lease: {}", rule.lease));
    let (throttles, changes) = rule.caps;
    line(format!(
        "caps:\n  throttles: {throttles}\n  share_of_clients: 50%\n  share_of_traffic: 100%\n  changes_per_minute: {changes}"
    ));
    line(format!("protected:\n  users: [{}]", crate::kafka::ADMIN));
    if !rule.enabled {
        line("rules: []".to_owned());
        return text;
    }
    let select = if rule.entity == "client-id" { "client_ids" } else { "users" };
    line(format!(
        "rules:\n  - name: runaway-producers\n    owner: platform\n    mode: {}\n    select: {{{select}: [\"*\"]}}\n    entity: {}\n    measure: {}",
        rule.mode, rule.entity, rule.measure
    ));
    let unit = if rule.measure == "request-time" { "%" } else { "B/s" };
    line(format!(
        "    enter: {}{unit}\n    limit: {}{unit}\n    confirm: {}",
        rule.enter, rule.limit, rule.confirm
    ));
    let (minimum, duration, longest) = rule.hold;
    line(format!("    hold: {{minimum: {minimum}, duration: {duration}, longest: {longest}}}"));
    let (connections, bytes) = rule.burst;
    line(format!("    burst: {{connections: {connections}, request_bytes: {bytes}B}}"));
    if rule.sentinel {
        line("    sentinel: 1TB/s".to_owned());
    }
    if let Some((slo, burn)) = rule.when {
        line(format!("    when: {{slo: {slo}, burn_rate: {burn}}}"));
    }
    text
}
