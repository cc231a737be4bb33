//! What people read: spans of time, values and tables.

use std::io::{self, Write};
use std::time::Duration;

use quota_enforcer_core::ledger::Intent;
use quota_enforcer_core::quota::Key;
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::human;

/// `4m 12s`: the two largest units that are not zero.
pub(crate) fn span(duration: Duration) -> String {
    let mut left = duration.as_secs();
    if left == 0 {
        return format!("{:.1}s", duration.as_secs_f64());
    }
    let mut parts = Vec::new();
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if left >= size {
            parts.push(format!("{}{unit}", left / size));
            left %= size;
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

/// `in 4m 12s` or `4m 12s ago`.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    if at > now { format!("in {}", span(at.since(now))) } else { format!("{} ago", span(now.since(at))) }
}

/// A quota, or that there is none.
pub(crate) fn quota(key: Key, value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| human(key, value))
}

/// A write whose outcome is not known yet.
pub(crate) fn under_way(key: Key, intent: &Intent, now: Timestamp) -> String {
    let to =
        intent.to.map_or_else(|| "taking it away".to_owned(), |to| format!("writing {}", human(key, to)));
    format!("{to}, begun {}", relative(intent.at, now))
}

/// Columns that are as wide as their widest cell, two blanks apart.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Writes it, each line after `indent`; nothing without rows.
    pub(crate) fn write(&self, out: &mut dyn Write, indent: &str) -> io::Result<()> {
        if self.rows.len() < 2 {
            return Ok(());
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(out, "{}", format!("{indent}{}", cells.join("  ")).trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let spans =
            [0.25, 1.0, 61.0, 3_600.0, 90_061.0].map(|seconds| span(Duration::from_secs_f64(seconds)));
        assert_eq!(spans, ["0.2s", "1s", "1m 1s", "1h", "1d 1h"]);
        let now = Timestamp(10_000);
        assert_eq!([relative(Timestamp(12_000), now), relative(Timestamp(9_000), now)], ["in 2s", "1s ago"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut table = Table::new(&["A", "B"]);
        let write = |table: &Table| {
            let mut out = Vec::new();
            table.write(&mut out, "  ").unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(write(&table), "");
        table.row(["ä".to_owned(), "1".to_owned()]);
        table.row(["bbb".to_owned(), String::new()]);
        assert_eq!(write(&table), "  A    B\n  ä    1\n  bbb\n");
    }
}
