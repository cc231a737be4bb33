//! Whether the process should get work: asked by `/ready`, shown as a metric.
//!
//! - It is not ready until every [`Handle`] was dropped: each stands for one thing that must be there first.
//! - Later a [`Condition`] can take readiness away and give it back: inputs that went stale, a lost connection.
//! - While it drains, it is not ready any more.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

/// The readiness of one process. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<watch::Sender<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, String>,
    conditions: BTreeMap<u64, (String, Option<String>)>,
    draining: bool,
}

impl State {
    fn is_ready(&self) -> bool {
        !self.draining
            && self.waiting.is_empty()
            && self.conditions.values().all(|(_, reason)| reason.is_none())
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Not ready while this exists.
#[must_use = "dropping it says that the thing is there"]
#[derive(Debug)]
pub struct Handle {
    readiness: Readiness,
    id: u64,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.readiness.0.send_modify(|state| {
            state.waiting.remove(&self.id);
        });
    }
}

/// Something that must hold for the process to be ready. It holds at first; dropping removes it.
#[derive(Debug)]
pub struct Condition {
    readiness: Readiness,
    id: u64,
}

impl Condition {
    /// It holds.
    pub fn holds(&self) {
        self.set(None);
    }

    /// It does not, and why: lower case, shown by `/ready`, so never a secret.
    pub fn fails(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, reason: Option<String>) {
        self.readiness.0.send_if_modified(|state| match state.conditions.get_mut(&self.id) {
            Some((_, current)) if *current != reason => {
                *current = reason;
                true
            }
            _ => false,
        });
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        self.readiness.0.send_modify(|state| {
            state.conditions.remove(&self.id);
        });
    }
}

/// What `/ready` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether all is well.
    pub ready: bool,
    /// What is missing, one line each.
    pub missing: Vec<String>,
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.ready { "ready" } else { "not ready" })?;
        self.missing.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Readiness {
    /// Ready at once, unless handles are taken.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more thing to wait for before the process is ready.
    pub fn handle(&self, name: impl Into<String>) -> Handle {
        let mut id = 0;
        self.0.send_modify(|state| {
            id = state.id();
            state.waiting.insert(id, name.into());
        });
        Handle { readiness: self.clone(), id }
    }

    /// One more thing that can take readiness away later.
    #[must_use = "dropping it removes the condition"]
    pub fn condition(&self, name: impl Into<String>) -> Condition {
        let mut id = 0;
        self.0.send_modify(|state| {
            id = state.id();
            state.conditions.insert(id, (name.into(), None));
        });
        Condition { readiness: self.clone(), id }
    }

    /// Not ready from here on: the process is about to end.
    pub fn drain(&self) {
        self.0.send_modify(|state| state.draining = true);
    }

    /// Whether the process should get work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.borrow().is_ready()
    }

    /// The same with reasons.
    #[must_use]
    pub fn report(&self) -> Report {
        let state = self.0.borrow();
        let draining = state.draining.then(|| "draining".to_owned());
        let waiting = state.waiting.values().map(|name| format!("waiting for {name}"));
        let failing = state
            .conditions
            .values()
            .filter_map(|(name, reason)| reason.as_ref().map(|reason| format!("{name}: {reason}")));
        let missing = draining.into_iter().chain(waiting).chain(failing).collect();
        Report { ready: state.is_ready(), missing }
    }

    /// Returns as soon as the process is ready.
    pub async fn ready(&self) {
        // The sender is part of self, so there is always an answer.
        drop(self.0.subscribe().wait_for(State::is_ready).await);
    }
}

impl Collector for Readiness {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let state = self.0.borrow().clone();
        let gauge = ConstGauge::new(i64::from(state.is_ready()));
        let help = "Whether the process should get work";
        gauge.encode(encoder.encode_descriptor("ready", help, None, gauge.metric_type())?)?;
        if state.conditions.is_empty() {
            return Ok(());
        }
        let help = "Whether a condition of readiness holds";
        let mut metric = encoder.encode_descriptor("ready_condition", help, None, gauge.metric_type())?;
        for (name, reason) in state.conditions.values() {
            let labels = [("condition", name.as_str())];
            ConstGauge::new(i64::from(reason.is_none())).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn ready_when_every_handle_was_dropped() {
        let readiness = Readiness::new();
        let (topics, brokers) = (readiness.handle("topics"), readiness.handle("brokers"));
        drop(topics);
        assert_eq!(readiness.report().to_string(), "not ready\nwaiting for brokers\n");
        drop(brokers);
        assert_eq!(readiness.report().to_string(), "ready\n");
    }

    #[test]
    fn a_condition_takes_readiness_away_and_gives_it_back() {
        let readiness = Readiness::new();
        let (fresh, other) = (readiness.condition("prometheus"), readiness.condition("leader"));
        assert!(readiness.is_ready());
        fresh.fails("no sample for 5m");
        assert_eq!(readiness.report().to_string(), "not ready\nprometheus: no sample for 5m\n");
        other.holds();
        fresh.holds();
        assert!(readiness.is_ready());
        other.fails("lost");
        drop(other);
        assert!(readiness.is_ready(), "a condition that is gone cannot fail");
    }

    #[test]
    fn draining_is_for_good() {
        let readiness = Readiness::new();
        readiness.drain();
        let condition = readiness.condition("x");
        condition.holds();
        drop(readiness.handle("y"));
        assert_eq!(readiness.report().to_string(), "not ready\ndraining\n");
    }

    #[test]
    fn metrics_show_each_condition() {
        let readiness = Readiness::new();
        let (a, b) = (readiness.condition("a"), readiness.condition("b"));
        b.fails("gone");
        let mut registry = Registry::default();
        registry.register_collector(Box::new(readiness.clone()));
        let mut out = String::new();
        text::encode(&mut out, &registry).unwrap();
        for line in ["ready 0", "ready_condition{condition=\"a\"} 1", "ready_condition{condition=\"b\"} 0"] {
            assert!(out.lines().any(|found| found == line), "{line} in {out}");
        }
        drop((a, b));
    }

    #[tokio::test]
    async fn one_can_wait_for_it() {
        let readiness = Readiness::new();
        let handle = readiness.handle("x");
        let waiting = readiness.clone();
        let waiting = async move { waiting.ready().await };
        tokio::join!(waiting, async { drop(handle) });
        assert!(readiness.is_ready());
    }
}
