//! Counting increases as the rules do.

use std::collections::BTreeMap;

use super::Blueprint;
use super::blueprint::{Event, Ratio, Record, What};
use crate::duration::PromDuration;
use crate::slo::NoData;

/// Equidistant moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The first, in milliseconds since 1970.
    pub start_ms: i64,
    /// Between two of them.
    pub step_ms: i64,
    /// How many.
    pub len: usize,
}

impl Grid {
    /// The moments from `from` to `to` that are multiples of the step since 1970; `None` when there are none.
    #[must_use]
    pub fn aligned(from_ms: i64, to_ms: i64, step: PromDuration) -> Option<Self> {
        let step_ms = i64::try_from(step.as_millis()).ok().filter(|step| *step > 0)?;
        let start_ms = from_ms.checked_add(step_ms - 1)?.div_euclid(step_ms) * step_ms;
        let steps = to_ms.checked_sub(start_ms)?.div_euclid(step_ms);
        let len = usize::try_from(steps).ok()? + 1;
        Some(Self { start_ms, step_ms, len })
    }

    /// The moment with this number.
    #[must_use]
    pub fn at(&self, index: usize) -> i64 {
        i64::try_from(index)
            .map_or(i64::MAX, |index| self.start_ms.saturating_add(index.saturating_mul(self.step_ms)))
    }

    /// The last moment.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.at(self.len.saturating_sub(1))
    }

    /// The number of a moment on the grid.
    #[must_use]
    pub fn index(&self, at_ms: i64) -> Option<usize> {
        let offset = at_ms.checked_sub(self.start_ms)?;
        if offset % self.step_ms != 0 {
            return None;
        }
        usize::try_from(offset / self.step_ms).ok().filter(|index| *index < self.len)
    }

    fn steps(&self, duration: PromDuration) -> usize {
        let step = u64::try_from(self.step_ms).unwrap_or(1).max(1);
        usize::try_from(duration.as_millis() / step).unwrap_or(usize::MAX)
    }
}

/// The counted past of one series of the query's result (one per SLO, unless its queries group).
#[derive(Clone, Debug)]
pub struct History<'a> {
    blueprint: &'a Blueprint,
    grid: Grid,
    labels: BTreeMap<String, String>,
    /// Events of the base window that ends at each moment; NaN where it was not covered.
    total: Vec<f64>,
    error: Vec<f64>,
    /// Running counts; NaN before the birth.
    tally_total: Vec<f64>,
    tally_error: Vec<f64>,
    tally_covered: Vec<f64>,
    /// First moment that is covered.
    birth: usize,
}

impl<'a> History<'a> {
    /// Counts. `total` (without a total query: ignored) and `error` hold one value per moment of the grid, NaN where the
    /// query had no result; `None` when no moment has both.
    #[must_use]
    pub fn new(
        blueprint: &'a Blueprint,
        grid: Grid,
        labels: BTreeMap<String, String>,
        mut total: Vec<f64>,
        mut error: Vec<f64>,
    ) -> Option<Self> {
        error.resize(grid.len, f64::NAN);
        let seconds = blueprint.base.as_secs_f64();
        if blueprint.total_query.is_none() {
            total = error.iter().map(|error| 0.0 * error + seconds).collect();
        }
        total.resize(grid.len, f64::NAN);
        // A total without a valid error must not count, nor the other way round.
        for (total, error) in total.iter_mut().zip(&mut error) {
            let valid = |value: f64| value.is_finite() && value >= 0.0;
            if !valid(*total) || !valid(*error) {
                (*total, *error) = (f64::NAN, f64::NAN);
            }
        }
        let birth = total.iter().position(|total| !total.is_nan())?;
        let phases = grid.steps(blueprint.base).max(1);
        let mut counts =
            [Count::new(phases, birth > 0), Count::new(phases, birth > 0), Count::new(phases, false)];
        let [tally_total, tally_error, tally_covered] = &mut counts;
        for (total, error) in total.iter_mut().zip(&mut error) {
            if blueprint.idle != NoData::Ignore && *total == 0.0 {
                // The mean base window so far, or one event when there never was any.
                let mean = tally_total.last() / tally_covered.last() * seconds;
                *total = if mean > 0.0 { mean } else { 1.0 };
                *error = if blueprint.idle == NoData::Bad { *total } else { 0.0 };
            }
            tally_total.push(*total);
            tally_error.push(*error);
            tally_covered.push(if total.is_nan() { f64::NAN } else { seconds });
        }
        let [tally_total, tally_error, tally_covered] = counts.map(|count| count.values);
        Some(Self { blueprint, grid, labels, total, error, tally_total, tally_error, tally_covered, birth })
    }

    /// First moment that is covered, in milliseconds since 1970.
    #[must_use]
    pub fn birth_ms(&self) -> i64 {
        self.grid.at(self.birth)
    }

    /// Share of the grid that was covered (0 to 1).
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "far fewer moments than 2^52")]
    pub fn coverage(&self) -> f64 {
        let covered = self.total.iter().filter(|total| !total.is_nan()).count();
        covered as f64 / self.grid.len.max(1) as f64
    }

    /// Labels of a record: the rules' over those of the query's result.
    #[must_use]
    pub fn labels(&self, record: &Record) -> BTreeMap<String, String> {
        let mut labels = if record.is_constant() { BTreeMap::new() } else { self.labels.clone() };
        labels.extend(record.labels.clone());
        labels
    }

    /// A record's samples in order of time: milliseconds since 1970 and value, never NaN and never infinite.
    pub fn samples<'s>(&'s self, record: &'s Record) -> impl Iterator<Item = (i64, f64)> + 's {
        let coarse_ms = i64::try_from(self.blueprint.coarse.as_millis()).unwrap_or(i64::MAX).max(1);
        let fine_ms = i64::try_from(self.blueprint.fine.as_millis()).unwrap_or(i64::MAX);
        let fine_from = self.grid.end_ms().saturating_sub(fine_ms);
        (self.birth..self.grid.len).filter_map(move |index| {
            let at = self.grid.at(index);
            let wanted = at % coarse_ms == 0
                || index + 1 == self.grid.len
                || index == self.birth
                || (record.is_count() && at >= fine_from);
            let value = wanted.then(|| self.value(record, index)).flatten()?;
            value.is_finite().then_some((at, value))
        })
    }

    /// The value of a record at a moment, if it has one.
    #[must_use]
    pub fn value(&self, record: &Record, index: usize) -> Option<f64> {
        match record.what {
            What::Constant(value) => Some(value),
            #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact")]
            What::Born => Some(self.grid.at(self.birth) as f64 / 1_000.0),
            What::Increase(Event::Covered) => {
                number(&self.total, index).map(|_| self.blueprint.base.as_secs_f64())
            }
            What::Increase(Event::Total) => number(&self.total, index),
            What::Increase(Event::Error) => number(&self.error, index),
            What::Tally(event) => number(self.tally(event), index),
            What::Ratio(ratio) => self.ratio(ratio, index),
            What::Burn { ratio, budget } => self.ratio(ratio, index).map(|ratio| burn(ratio, budget)),
            What::Remaining { ratio, budget } => {
                self.ratio(ratio, index).map(|ratio| 1.0 - burn(ratio, budget))
            }
        }
    }

    fn tally(&self, event: Event) -> &[f64] {
        match event {
            Event::Total => &self.tally_total,
            Event::Error => &self.tally_error,
            Event::Covered => &self.tally_covered,
        }
    }

    fn ratio(&self, ratio: Ratio, index: usize) -> Option<f64> {
        match ratio {
            Ratio::Base => divide(number(&self.error, index)?, number(&self.total, index)?),
            Ratio::Window { window, least, most } => {
                let covered = self.window(Event::Covered, window, index)?;
                if covered < least || covered > most {
                    return None;
                }
                divide(self.window(Event::Error, window, index)?, self.window(Event::Total, window, index)?)
            }
        }
    }

    /// Events of a window: since the birth when that is younger than the window.
    fn window(&self, event: Event, window: PromDuration, index: usize) -> Option<f64> {
        let tally = self.tally(event);
        let now = number(tally, index)?;
        let before = index
            .checked_sub(self.grid.steps(window))
            .filter(|past| *past >= self.birth)
            .and_then(|past| number(tally, past))
            .unwrap_or(0.0);
        Some((now - before).max(0.0))
    }
}

/// The `tally` rule over a grid: the count one base window ago plus the increase since; before there is one (the first base
/// window), the count of the last moment plus that moment's share; without an increase the count is held.
struct Count {
    values: Vec<f64>,
    /// Moments in a base window.
    phases: usize,
    /// The series begin inside the grid: their first base windows hold all their events, which is better than a share. (The
    /// rules cannot know that; they guess the share.)
    begins: bool,
}

impl Count {
    const fn new(phases: usize, begins: bool) -> Self {
        Self { values: Vec::new(), phases, begins }
    }

    fn last(&self) -> f64 {
        self.values.last().copied().unwrap_or(f64::NAN)
    }

    fn push(&mut self, increase: f64) {
        #[allow(clippy::cast_precision_loss, reason = "some tens")]
        let share = 1.0 / self.phases as f64;
        let last = self.last();
        let before = self.values.len().checked_sub(self.phases).and_then(|index| self.values.get(index));
        let before = before.copied().unwrap_or(f64::NAN);
        self.values.push(match (increase.is_nan(), before.is_nan(), last.is_nan()) {
            (true, _, _) => last,
            (false, false, _) => before + increase,
            (false, true, false) if self.begins => last.max(increase),
            (false, true, false) => last + increase * share,
            (false, true, true) => increase,
        });
    }
}

fn number(values: &[f64], index: usize) -> Option<f64> {
    values.get(index).copied().filter(|value| !value.is_nan())
}

fn divide(error: f64, total: f64) -> Option<f64> {
    (total > 0.0).then(|| error / total)
}

/// Without a budget any error spends it all.
fn burn(ratio: f64, budget: f64) -> f64 {
    if budget > 0.0 { ratio / budget } else { f64::from(u8::from(ratio > 0.0)) }
}
