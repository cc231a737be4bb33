use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// What is told of reloads. Both results exist from the start, so that an alert sees the first failure.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    successful: Gauge,
    success_time: Gauge,
    ok: Counter,
    failed: Counter,
    hash: Hash,
}

/// An info metric that changes: one series, never two.
#[derive(Clone, Debug, Default)]
struct Hash(Arc<Mutex<String>>);

impl Collector for Hash {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let hash = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let info = Info::new([("sha256", hash)]);
        let help = "Hash of the configuration in force";
        info.encode(encoder.encode_descriptor("config_hash", help, None, info.metric_type())?)
    }
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let reloads = Family::<[(&'static str, &'static str); 1], Counter>::default();
        let metrics = Self {
            successful: Gauge::default(),
            success_time: Gauge::default(),
            ok: reloads.get_or_create_owned(&[("result", "success")]),
            failed: reloads.get_or_create_owned(&[("result", "error")]),
            hash: Hash::default(),
        };
        registry.register("config_reloads", "Reloads of the configuration", reloads);
        registry.register(
            "config_last_reload_successful",
            "Whether the file as last read is in force",
            metrics.successful.clone(),
        );
        registry.register(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration in force was loaded, since 1970",
            metrics.success_time.clone(),
        );
        registry.register_collector(Box::new(metrics.hash.clone()));
        metrics
    }

    pub(super) fn succeeded(&self, hash: &str, at_ms: i64) {
        self.ok.inc();
        self.successful.set(1);
        self.success_time.set(at_ms.div_euclid(1_000));
        hash.clone_into(&mut self.hash.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
        self.successful.set(0);
    }
}
