//! Outage, page, recovery, end of the page.

use std::time::Duration;

use crate::shop::Change;
use crate::{Bed, Notification};
use anyhow::{Context, Result, bail};
use tokio::time::Instant;

use super::screen::{Moment, Screen};

/// The promise that gets broken.
const BROKEN: &str = "checkout-availability";
/// Share of the checkout's requests that fail during the outage.
const OUTAGE: f64 = 0.05;
/// How long customers suffer after the page: somebody must get up first.
const REPAIR: Duration = Duration::from_secs(10);
/// No part of the story takes longer unless something is wrong.
const LIMIT: Duration = Duration::from_secs(120);

struct Story<'a> {
    bed: &'a Bed,
    screen: &'a Screen,
    start: Instant,
}

/// Tells it from the first scrape to the end of the page.
pub(crate) async fn tell(bed: &Bed, screen: &Screen) -> Result<()> {
    let story = Story { bed, screen, start: Instant::now() };
    screen.chapter(0, "The shop opens. A window counts once half of it has been observed.");
    screen.table_head();
    story.watch("the rules to be evaluated", || story.warm()).await?;
    let broken = bed.prometheus.evaluated(LIMIT).await?;
    if !broken.is_empty() {
        bail!("rules in error:\n{}", broken.join("\n"));
    }

    screen.chapter(story.second(), "Outage: one order in twenty fails from now on.");
    let outage = Instant::now();
    bed.shop.change(&Change::errors("checkout", OUTAGE))?;
    screen.table_head();
    let page = story.watch("the page", || async { Ok(story.found(true)) }).await?;
    let detection = outage.elapsed();
    screen.notification(&format!("PAGE after {:.0} s of outage", detection.as_secs_f64()), &page);

    screen.table_head();
    let until = Instant::now() + REPAIR;
    story.watch("the repair", || async { Ok((Instant::now() >= until).then_some(())) }).await?;
    screen.chapter(story.second(), "Repaired: orders succeed again.");
    let repaired = Instant::now();
    bed.shop.change(&Change::recovery("checkout"))?;
    screen.table_head();
    let end = story.watch("the end of the page", || async { Ok(story.found(false)) }).await?;
    let reset = repaired.elapsed();
    screen.notification(&format!("RESOLVED {:.0} s after the repair", reset.as_secs_f64()), &end);

    let strangers: Vec<Notification> =
        bed.receiver.notifications().into_iter().filter(|one| one.label("sloth_id") != BROKEN).collect();
    if let Some(stranger) = strangers.first() {
        bail!("an alert of another SLO arrived: {:?}", stranger.labels);
    }
    screen.good(&format!(
        "paged {:.0} s after the first failed order, resolved {:.0} s after the repair, nobody else was paged",
        detection.as_secs_f64(),
        reset.as_secs_f64()
    ));
    Ok(())
}

impl Story<'_> {
    fn second(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// The first notification about the broken promise's page.
    fn found(&self, firing: bool) -> Option<Notification> {
        self.bed.receiver.notifications().into_iter().find(|one| {
            one.label("sloth_id") == BROKEN
                && one.label("sloth_severity") == "page"
                && one.is_firing() == firing
        })
    }

    /// Whether the page's windows can be judged, and have been for a few evaluations.
    async fn warm(&self) -> Result<Option<()>> {
        let query = format!("count_over_time(slo:sli_error:ratio_rate30s{{sloth_id=\"{BROKEN}\"}}[1m])");
        let count = self.bed.prometheus.value(&query).await?;
        Ok(count.filter(|count| *count >= 4.0).map(drop))
    }

    /// Prints a line for each evaluation until `done` yields a value.
    async fn watch<T, F, Fut>(&self, what: &str, done: F) -> Result<T>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Option<T>>>,
    {
        let deadline = Instant::now() + LIMIT;
        let mut next = Instant::now();
        loop {
            if let Some(value) = done().await? {
                return Ok(value);
            }
            if Instant::now() >= next {
                self.screen.moment(&self.moment().await?);
                next += super::INTERVAL;
            }
            if Instant::now() >= deadline {
                bail!("waited {} s in vain for {what}", LIMIT.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn moment(&self) -> Result<Moment> {
        let value =
            async |query: String| self.bed.prometheus.value(&query).await.with_context(|| query.clone());
        let ids = format!("sloth_id=\"{BROKEN}\"");
        let fires = async |tier: &str| {
            let query = format!("count(ALERTS{{alertstate=\"firing\", sloth_severity=\"{tier}\", {ids}}})");
            value(query).await.map(|count| count.is_some())
        };
        Ok(Moment {
            second: self.second(),
            // As `slo:current_burn_rate:ratio`, which some profiles evaluate less often.
            burn: value(format!(
                "slo:sli_error:ratio_rate10s{{{ids}}} / on(sloth_id) slo:error_budget:ratio"
            ))
            .await?,
            failing: value(format!("slo:sli_error:ratio_rate10s{{{ids}}}")).await?,
            others: value(format!("max(slo:current_burn_rate:ratio{{sloth_id!=\"{BROKEN}\"}})")).await?,
            page: fires("page").await?,
            ticket: fires("ticket").await?,
        })
    }
}
