//! What a changed file asks for and only a restart can do.

use crate::spec::Settings;

/// In words, a line each.
pub(super) fn needs_restart(started: &Settings, now: &Settings) -> Vec<String> {
    let changed = [
        ("kafka", started.kafka != now.kafka),
        ("ledger", started.ledger != now.ledger),
        ("prometheus", started.prometheus != now.prometheus),
        ("metrics", started.profile != now.profile),
        ("baseline", started.baseline != now.baseline),
        ("admin", started.admin != now.admin),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(section, _)| format!("`{section}` has changed in the file: restart to use it")).collect()
}
