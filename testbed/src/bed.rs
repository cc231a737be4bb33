//! Everything at once: shop, receiver, Alertmanager, and a Prometheus that evaluates generated rules.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::alertmanager::compressed;
use crate::{Alertmanager, Prometheus, Receiver, Shop};

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rule files or patterns.
    pub rules: Vec<PathBuf>,
    /// Alertmanager's configuration; its webhooks are led to the receiver, see [`compressed`].
    pub alertmanager: String,
    /// Scrape interval, and evaluation interval of groups that set none.
    pub interval: Duration,
    /// Seed of the shop's customers.
    pub seed: u64,
}

/// The running bed. Dropping it stops Prometheus first, then Alertmanager, then our own two servers.
#[derive(Debug)]
pub struct Bed {
    /// Evaluates the rules.
    pub prometheus: Prometheus,
    /// Gets the alerts.
    pub alertmanager: Alertmanager,
    /// Gets the notifications.
    pub receiver: Receiver,
    /// Has the customers.
    pub shop: Shop,
}

impl Bed {
    /// Starts all of it.
    ///
    /// # Errors
    /// When one of them does not become ready; the others are stopped again.
    pub async fn start(options: &Options) -> Result<Self> {
        let shop = Shop::start(options.seed).await?;
        let receiver = Receiver::start().await?;
        let alertmanager = Alertmanager::start(&compressed(&options.alertmanager, &receiver)).await?;
        let mut prometheus = Prometheus::builder()
            .scrape_interval(options.interval)
            .evaluation_interval(options.interval)
            .targets(shop.targets())
            .alertmanager(alertmanager.address());
        for file in &options.rules {
            prometheus = prometheus.rules(file);
        }
        let prometheus = prometheus.start().await?;
        Ok(Self { prometheus, alertmanager, receiver, shop })
    }
}
