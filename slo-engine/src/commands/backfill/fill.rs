//! The past of one SLO: asked for, counted, written.

use std::collections::HashMap;
use std::io::Write;

use anyhow::{Context as _, bail};
use daemon_kit::prom::{Client, Labels, Series};
use slo_engine_core::backfill::{Blueprint, Grid, History, Record};

use super::moment::shown;
use super::openmetrics::Spool;
use crate::adapters::prometheus::{Columns, RangeReader};

/// About 800 MB for the two queries of one SLO.
const MAX_VALUES: usize = 50_000_000;

/// The same for all SLOs of a run.
pub(super) struct Filler<'a> {
    pub(super) client: Client,
    /// Moments, in milliseconds since 1970; `None` is one period before the end.
    pub(super) from_ms: Option<i64>,
    pub(super) to_ms: i64,
    pub(super) now_ms: i64,
    /// Fill also what is recorded already.
    pub(super) replace: bool,
    /// Go on although the rules count already.
    pub(super) force: bool,
    pub(super) quiet: bool,
    pub(super) stderr: &'a mut dyn Write,
}

/// Times at which a record exists already, by name and window.
type Existing = HashMap<(String, String), Vec<bool>>;

impl Filler<'_> {
    /// Writes one SLO's past into the spool.
    pub(super) async fn fill(&mut self, blueprint: &Blueprint, spool: &mut Spool<'_>) -> anyhow::Result<()> {
        let id = &blueprint.id;
        let slack = blueprint.base.as_millis() + blueprint.coarse.as_millis();
        let default_from = i64::try_from(blueprint.period.as_millis() + slack).unwrap_or(i64::MAX);
        let from_ms = self.from_ms.unwrap_or_else(|| self.to_ms.saturating_sub(default_from));
        let grid = Grid::aligned(from_ms, self.to_ms, blueprint.interval)
            .with_context(|| format!("{id}: no evaluation falls between --from and --to"))?;
        self.refuse_a_second_count(blueprint, grid).await?;

        let reader = RangeReader::new(self.client.clone(), MAX_VALUES);
        let mut warnings = Vec::new();
        let mut total = match &blueprint.total_query {
            Some(query) => self.read(&reader, id, "total", query, grid, &mut warnings).await?,
            None => Columns::new(),
        };
        let mut error = self.read(&reader, id, "errors", &blueprint.error_query, grid, &mut warnings).await?;
        strip_names(&mut total);
        strip_names(&mut error);
        let coarse = Grid::aligned(grid.start_ms, grid.end_ms(), blueprint.coarse);
        let existing = match coarse {
            Some(coarse) if !self.replace => self.existing(&reader, blueprint, coarse).await?,
            _ => Existing::new(),
        };
        for warning in warnings {
            writeln!(self.stderr, "{id}: the server warns: {warning}")?;
        }

        let mut histories: Vec<History<'_>> = error
            .into_iter()
            .filter_map(|(labels, error)| {
                let total = total.remove(&labels).unwrap_or_default();
                History::new(blueprint, grid, labels, total, error)
            })
            .collect();
        histories.sort_by_key(History::birth_ms);
        let Some(oldest) = histories.first() else {
            bail!(
                "{id}: nothing to fill, this gives no number between {} and {}: {}",
                shown(grid.start_ms),
                shown(grid.end_ms()),
                blueprint.total_query.as_ref().unwrap_or(&blueprint.error_query)
            );
        };
        let before = spool.samples;
        for record in &blueprint.records {
            let of = if record.is_constant() { histories.get(..1).unwrap_or_default() } else { &histories };
            for history in of {
                let known = existing.get(&key(&record.name, record.labels.get("sloth_window")));
                let known = known.filter(|_| record.is_shown()).zip(coarse);
                let fresh = history.samples(record).filter(|(at, _)| !is_known(known, *at));
                spool.series(&record.name, &history.labels(record), fresh)?;
            }
        }
        let line = summary(blueprint, oldest, &histories, grid, spool.samples - before);
        if !self.quiet {
            writeln!(self.stderr, "{id}: {line}")?;
        }
        Ok(())
    }

    async fn read(
        &mut self,
        reader: &RangeReader,
        id: &str,
        what: &str,
        query: &str,
        grid: Grid,
        warnings: &mut Vec<String>,
    ) -> anyhow::Result<Columns> {
        let (quiet, stderr) = (self.quiet, &mut *self.stderr);
        let progress = |done: usize| {
            if !quiet {
                let percent = done * 100 / grid.len.max(1);
                // Progress that cannot be shown is no reason to stop.
                writeln!(stderr, "{id}: {what} {percent} % of {} evaluations read", grid.len)
                    .unwrap_or_default();
            }
        };
        reader
            .read(query, grid, warnings, progress)
            .await
            .with_context(|| format!("{id}: cannot read {what}"))
    }

    /// Two counts of one SLO do not fit together: their difference would pass for events.
    async fn refuse_a_second_count(&self, blueprint: &Blueprint, grid: Grid) -> anyhow::Result<()> {
        let id = &blueprint.id;
        let tally = format!("slo:sli_events:tally{{sloth_id=\"{id}\"}}");
        let seconds = (self.now_ms.max(grid.end_ms()) - grid.start_ms) / 1_000 + 1;
        let query =
            format!("min(min_over_time(timestamp({tally})[{seconds}s:5m])) or min(timestamp({tally}))");
        let answer = self.client.instant(&query, Some(self.now_ms)).await.with_context(|| id.clone())?;
        let Some(since) = answer.value.first().and_then(Series::last) else { return Ok(()) };
        if self.force {
            return Ok(());
        }
        #[allow(clippy::cast_possible_truncation, reason = "seconds since 1970")]
        let since = shown((since * 1_000.0) as i64);
        bail!(
            "{id}: its events are counted already, in slo:sli_events:tally since {since}, and a filled count would not join \
             that one; fill before the rules are loaded (see \"Filling later\" in docs/backfill.md), or insist with --force"
        )
    }

    /// Where what people look at exists already, such as ratios that Sloth's rules recorded.
    async fn existing(
        &self,
        reader: &RangeReader,
        blueprint: &Blueprint,
        grid: Grid,
    ) -> anyhow::Result<Existing> {
        let mut names: Vec<&str> = blueprint
            .records
            .iter()
            .filter(|record| record.is_shown())
            .map(|record| record.name.as_str())
            .collect();
        names.dedup();
        let query = format!("{{__name__=~\"{}\",sloth_id=\"{}\"}}", names.join("|"), blueprint.id);
        let columns = reader
            .read(&query, grid, &mut Vec::new(), |_| {})
            .await
            .with_context(|| format!("{}: cannot read what is recorded already", blueprint.id))?;
        let mut existing = Existing::new();
        for (labels, column) in columns {
            let name = labels.get("__name__").cloned().unwrap_or_default();
            let known = existing
                .entry(key(&name, labels.get("sloth_window")))
                .or_insert_with(|| vec![false; grid.len]);
            for (known, value) in known.iter_mut().zip(column) {
                *known |= !value.is_nan();
            }
        }
        Ok(existing)
    }
}

fn key(name: &str, window: Option<&String>) -> (String, String) {
    (name.to_owned(), window.cloned().unwrap_or_default())
}

/// A moment between two of the coarse grid counts as the one after it.
fn is_known(known: Option<(&Vec<bool>, Grid)>, at_ms: i64) -> bool {
    let Some((known, grid)) = known else { return false };
    let steps = (at_ms - grid.start_ms + grid.step_ms - 1).div_euclid(grid.step_ms).max(0);
    let index = usize::try_from(steps).unwrap_or(usize::MAX).min(known.len().saturating_sub(1));
    known.get(index).copied().unwrap_or(false)
}

fn strip_names(columns: &mut Columns) {
    let named: Vec<Labels> =
        columns.keys().filter(|labels| labels.contains_key("__name__")).cloned().collect();
    for mut labels in named {
        if let Some(column) = columns.remove(&labels) {
            labels.remove("__name__");
            columns.insert(labels, column);
        }
    }
}

fn summary(
    blueprint: &Blueprint,
    oldest: &History<'_>,
    histories: &[History<'_>],
    grid: Grid,
    samples: u64,
) -> String {
    let record = |name: &str, window: Option<&str>| -> Option<&Record> {
        blueprint.records.iter().find(|record| {
            record.name == name
                && window.is_none_or(|w| record.labels.get("sloth_event").is_some_and(|event| event == w))
        })
    };
    let last = grid.len.saturating_sub(1);
    let of = |record: Option<&Record>| record.and_then(|record| oldest.value(record, last));
    let mut line = format!(
        "{} to {}, {:.1} % covered, {samples} samples",
        shown(oldest.birth_ms()),
        shown(grid.end_ms()),
        oldest.coverage() * 100.0
    );
    if histories.len() > 1 {
        return format!("{line}, {} groups", histories.len());
    }
    let events = |event| of(record("slo:sli_events:tally", Some(event))).unwrap_or_default();
    line.push_str(&format!(", {:.0} events, {:.0} of them errors", events("total"), events("error")));
    if let Some(remaining) = of(record("slo:period_error_budget_remaining:ratio", None)) {
        line.push_str(&format!(", {:.2} % of the budget remains", remaining * 100.0));
    }
    line
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_recorded_already_is_left_alone() {
        let grid = Grid { start_ms: 0, step_ms: 300_000, len: 3 };
        let known = vec![false, true, false];
        let is = |at| is_known(Some((&known, grid)), at);
        assert_eq!(
            [is(-30_000), is(0), is(30_000), is(300_000), is(330_000)],
            [false, false, true, true, false]
        );
        assert!(!is_known(None, 0));
    }

    #[test]
    fn metric_names_are_no_labels() {
        let mut columns = Columns::from([(
            BTreeMap::from([("__name__".to_owned(), "x".to_owned()), ("a".to_owned(), "b".to_owned())]),
            vec![1.0],
        )]);
        strip_names(&mut columns);
        assert_eq!(columns.keys().next().unwrap().len(), 1);
    }
}
