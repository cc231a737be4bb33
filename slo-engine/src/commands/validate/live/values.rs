//! Are the numbers possible? Errors above total, ratios outside of 0 to 1, NaN.

use std::collections::BTreeSet;

use daemon_kit::prom::{Error, Sample};
use slo_engine_core::promql::{with_window, wrap};
use slo_engine_core::{Finding, PeriodWindows, PromDuration, Query, Severity, Sli, Slo};

use super::{Live, Role, finding, shown};

/// How far back values are looked at.
const BACK_MS: i64 = 6 * 3_600_000;
/// How many moments are looked at in that time.
const STEPS: i64 = 72;
/// Scrapes of two series are not taken at the same instant: so much over total is none.
const SLACK: f64 = 1.01;

impl Live {
    /// Looks at the base window over the last hours.
    pub(super) async fn values(&self, slo: &Slo, windows: &PeriodWindows) -> Result<Vec<Finding>, Error> {
        let base = windows.page.quick.short;
        let text = |query: &Query, window| wrap(&with_window(&query.0, window));
        let mut findings = Vec::new();
        match &slo.sli {
            Sli::Events { error, total } | Sli::GoodTotal { good: error, total } => {
                let role = if matches!(slo.sli, Sli::Events { .. }) { Role::Error } else { Role::Good };
                let ratio = format!("{} / {}", text(error, base), text(total, base));
                let over = self.worst(&format!("{ratio} > {SLACK} < Inf")).await?;
                findings.extend(over.map(|over| exceeds(role, base, &over)));
                let none =
                    self.worst(&format!("{} > 0 unless {}", text(error, base), text(total, base))).await?;
                findings.extend(none.map(|none| unmatched(role, base, &none)));
            }
            Sli::Raw { error_ratio } => {
                let ratio = text(error_ratio, base);
                let outside = self.worst(&format!("{ratio} > {SLACK} or {ratio} < 0")).await?;
                findings.extend(outside.map(|outside| {
                    let message = format!(
                        "the error ratio over {base} was {:.4}, {}: a ratio is between 0 and 1",
                        outside.sample.value,
                        outside.when(self.options.now_ms)
                    );
                    finding(Severity::Warning, "ratio-out-of-range", Role::Ratio.field(), message)
                }));
                let nan = self.worst(&format!("{ratio} != {ratio}")).await?;
                findings.extend(nan.map(|nan| {
                    let message = format!(
                        "the error ratio over {base} was no number at {}: without traffic it is zero over zero; the `no_data` \
                         key says what that means",
                        moments(nan.count)
                    );
                    finding(Severity::Note, "ratio-nan", Role::Ratio.field(), message)
                }));
            }
        }
        for found in &mut findings {
            if found.help.is_none() && found.code == "errors-exceed-total" {
                found.help = Some(
                    "do both queries select the same requests, and do both sum over the same labels?"
                        .to_owned(),
                );
            }
        }
        Ok(findings)
    }

    /// The largest value of a query in the last hours.
    async fn worst(&self, query: &str) -> Result<Option<Worst>, Error> {
        let now = self.options.now_ms;
        let answer = self.client.range(query, now - BACK_MS, now, BACK_MS / STEPS).await?;
        let samples: Vec<Sample> = answer.value.into_iter().flat_map(|series| series.samples).collect();
        let moments: BTreeSet<i64> = samples.iter().map(|sample| sample.at_ms).collect();
        let key = |sample: &Sample| if sample.value.is_nan() { f64::MIN } else { sample.value };
        let worst = samples.iter().copied().max_by(|a, b| key(a).total_cmp(&key(b)));
        Ok(worst.map(|sample| Worst { sample, count: moments.len() }))
    }
}

struct Worst {
    sample: Sample,
    /// At how many moments the query had a value.
    count: usize,
}

impl Worst {
    #[allow(clippy::cast_precision_loss, reason = "hours")]
    fn when(&self, now_ms: i64) -> String {
        match (now_ms - self.sample.at_ms) / 1_000 {
            0..60 => "just now".to_owned(),
            seconds => format!("{} ago", shown((seconds / 60 * 60) as f64)),
        }
    }
}

fn moments(count: usize) -> String {
    format!("{count} of {} moments in the last 6h", STEPS + 1)
}

fn exceeds(role: Role, base: PromDuration, worst: &Worst) -> Finding {
    let what = if role == Role::Good { "good events" } else { "errors" };
    let message = format!(
        "{what} over {base} were {:.4} times the total at worst, and more than the total at {}",
        worst.sample.value,
        moments(worst.count)
    );
    finding(Severity::Warning, "errors-exceed-total", role.field(), message)
}

fn unmatched(role: Role, base: PromDuration, worst: &Worst) -> Finding {
    let what = if role == Role::Good { "good events" } else { "errors" };
    let message = format!(
        "{what} over {base} have labels that the total has not, at {}: they are not counted",
        moments(worst.count)
    );
    finding(Severity::Warning, "errors-without-total", role.field(), message)
}
