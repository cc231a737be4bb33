//! The adapters, wired by the configuration.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use daemon_kit::clock::Clock;
use daemon_kit::{config, reload};
use quota_enforcer_core::audit::Record;
use quota_enforcer_core::decide::{State, Verdict};
use quota_enforcer_core::entity::Entity;
use quota_enforcer_core::ledger::Ledger;
use quota_enforcer_core::policy::Policy;
use quota_enforcer_core::time::Timestamp;

use super::own::Own;
use crate::adapters::ledger::{AuditLines, Place, Settings as LedgerSettings, as_leader, read_ledger};
use crate::adapters::prometheus::Prometheus;
use crate::adapters::quotas::Quotas as KafkaQuotas;
use crate::api::order::{Body, Kind};
use crate::engine::probe::Silent;
use crate::engine::{Engine, Limits, Ordered};
use crate::ports::{LedgerStore as _, Metrics, Observed, Quotas};
use crate::spec::{self, Settings};
use crate::status::{Role, RuleInfo, Status};
use crate::views::Seen;
use crate::views::explain::{Explanation, explain};
use crate::views::history::{History, Picker, Records, Wanted};
use crate::views::plan::Plan;

/// How long brokers go on forwarding an alteration to a controller that does not answer: they try again for 60 s, and give
/// the last try 30 s (`retryTimeoutMs` of Kafka's forwarding channel, `controller.socket.timeout.ms`).
const FORWARDED: Duration = Duration::from_secs(90);
/// How old the description of the cluster may be.
const CLUSTER_AGE: Duration = Duration::from_secs(10);
/// The longest that one request to the brokers may take.
const REQUEST: Duration = Duration::from_secs(5);
/// How long a member of the group may be silent: as long as its lease, within what brokers take and a crash should cost.
const SESSION: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(10));
/// How long a command waits for the office: for a dead leader's session to end, and the group to settle.
const OFFICE: Duration = Duration::from_secs(40);

/// Of a status that no daemon gave.
const UNLED: &str = "no daemon answers: this is what the ledger says, without clients and their rates";

/// What this process is called.
#[derive(Clone, Debug)]
pub struct Name {
    /// In ledger, audit and log.
    pub instance: String,
    /// Base address of its API, if others can reach it.
    pub api: Option<String>,
}

impl Name {
    /// A daemon that listens there, and is reached by that address if one is given.
    #[must_use]
    pub fn of_daemon(listen: SocketAddr, advertise: Option<&str>) -> Self {
        let host = host();
        let ip = listen.ip();
        let api = match advertise {
            Some(address) => Some(address.trim_end_matches('/').to_owned()),
            None if ip.is_loopback() => None,
            None if ip.is_unspecified() => Some(format!("http://{host}:{}", listen.port())),
            None => Some(format!("http://{listen}")),
        };
        Self { instance: format!("{host}-{}", std::process::id()), api }
    }

    /// A command.
    #[must_use]
    pub fn of_command() -> Self {
        Self { instance: format!("{}-{}-command", host(), std::process::id()), api: None }
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}

/// Reads the configuration for a command.
///
/// # Errors
/// Everything that is wrong with it.
pub fn settings(path: &Path) -> anyhow::Result<Settings> {
    let read = config::open(path).map_err(|diagnostic| vec![diagnostic]);
    let (settings, _) = read.and_then(|source| spec::load(&source)).map_err(reload::Failed::from)?;
    Ok(settings)
}

/// See the module.
#[derive(Clone)]
pub struct World {
    settings: Settings,
    place: Place,
    quotas: Arc<dyn Quotas>,
    clock: Arc<dyn Clock>,
}

impl World {
    /// Reaches the brokers.
    ///
    /// # Errors
    /// They do not answer, or the configuration cannot be used.
    pub async fn connect(settings: &Settings, clock: Arc<dyn Clock>, name: Name) -> anyhow::Result<Self> {
        let properties =
            settings.kafka.properties(|name| std::env::var(name).ok()).map_err(anyhow::Error::msg)?;
        let config = kafka_admin::Config::new(properties).context("`kafka` in the configuration")?;
        let admin = kafka_admin::Client::connect(config.clone()).await.context("cannot reach Kafka")?;
        let admin = admin.with_timeout(request(settings.ledger.lease));
        let place = Place {
            config,
            admin: admin.clone(),
            settings: ledger(settings, name),
            clock: Arc::clone(&clock),
        };
        let quotas: Arc<dyn Quotas> = Arc::new(KafkaQuotas::new(admin));
        Ok(Self { settings: settings.clone(), place, quotas, clock })
    }

    /// Ledger and audit.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The cluster's quotas.
    #[must_use]
    pub fn quotas(&self) -> Arc<dyn Quotas> {
        Arc::clone(&self.quotas)
    }

    /// As whom this process comes to the brokers.
    #[must_use]
    pub fn own(&self) -> Own {
        let config = &self.place.config;
        Own { user: config.username().map(str::to_owned), client_id: config.client_id().to_owned() }
    }

    /// How long the engine waits for whom.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let lease = self.settings.ledger.lease;
        let request = request(lease);
        Limits {
            observe: self.settings.prometheus.timeout,
            request,
            in_flight: lease + request + FORWARDED,
            read_back: request,
            cluster: CLUSTER_AGE,
        }
    }

    /// What the ledger says, without clients.
    ///
    /// # Errors
    /// Kafka does not answer, or the ledger is not understood.
    pub async fn status(&self) -> anyhow::Result<Status> {
        let (cluster, ledger) = tokio::join!(self.quotas.cluster(), read_ledger(&self.place));
        let (cluster, ledger) =
            (cluster.context("describe the cluster")?, ledger.context("read the ledger")?);
        Ok(Status {
            at: Timestamp(self.clock.now_ms()),
            cluster: cluster.id,
            brokers: cluster.brokers.len(),
            role: Role::Starting,
            leader: ledger.leader.clone(),
            policy: self.settings.policy.version.clone(),
            holds: ledger.holds.into_values().collect(),
            offences: ledger.offences.into_values().collect(),
            exemptions: ledger.exemptions.into_values().collect(),
            pause: ledger.pause,
            notes: vec![UNLED.to_owned()],
            rules: self.settings.policy.rules.iter().map(RuleInfo::of).collect(),
            ..Status::default()
        })
    }

    /// What would be done, by one look, or by two when somebody is over a threshold.
    ///
    /// # Errors
    /// The cluster cannot be seen.
    pub async fn plan(&self) -> anyhow::Result<Plan> {
        let seen = self.look().await?;
        Ok(Plan::of(&seen.tick, &seen.policy.version, false))
    }

    /// Explains by the same looks.
    ///
    /// # Errors
    /// The cluster cannot be seen.
    pub async fn explain(&self, entity: &Entity) -> anyhow::Result<Explanation> {
        Ok(explain(entity, &self.look().await?))
    }

    async fn look(&self) -> anyhow::Result<Seen> {
        let ledger = match read_ledger(&self.place).await {
            Ok(ledger) => ledger,
            Err(error) => {
                // Before the first start there is none.
                tracing::warn!(%error, "the ledger cannot be read: what is held is not known");
                Ledger::default()
            }
        };
        let policy = self.own().protect(&self.settings.policy);
        let metrics = Arc::new(Prometheus::new(&self.settings, Arc::clone(&self.clock))?);
        let faults = metrics.refresh_baselines(&policy).await;
        let mut engine = self.engine(metrics);
        let mut tick = engine.plan(&policy, &ledger).await;
        if tick.outcome.verdicts.iter().any(sized_by_growth) {
            // After so long every broker was scraped again.
            let pause = policy.evidence.scrape_interval.saturating_mul(2);
            tracing::info!(
                "a client is over a threshold: how fast it grows a second look tells, in {pause:?}"
            );
            tokio::time::sleep(pause).await;
            tick = engine.plan(&policy, &ledger).await;
        }
        if tick.cluster.brokers.is_empty() || tick.observation.snapshot.is_none() {
            // Of a cluster that cannot be seen there is nothing to show.
            let why: Vec<String> = tick.observation.blockers.into_iter().chain(tick.faults).collect();
            bail!("{}", why.join("; "));
        }
        tick.faults.extend(faults);
        Ok(Seen { tick, ledger, policy })
    }

    fn engine(&self, metrics: Arc<dyn Metrics>) -> Engine {
        Engine::new(metrics, self.quotas(), Arc::clone(&self.clock), Arc::new(Silent), self.limits())
    }

    /// Leads for one order.
    ///
    /// # Errors
    /// A [`Fault`](crate::adapters::ledger::Fault), [`Led`](crate::adapters::ledger::Fault::Led) among them, when this
    /// process cannot lead; what is wrong with the order.
    pub async fn order(&self, kind: Kind, body: &Body) -> anyhow::Result<Ordered> {
        let order = kind.order(body, Timestamp(self.clock.now_ms())).map_err(anyhow::Error::msg)?;
        let (election, leadership) = as_leader(self.place.clone(), OFFICE).await?;
        let mut engine = self.engine(Arc::new(Blind));
        let store = &leadership.store;
        let ordered = engine.order(store, &order, &body.by, &body.reason).await;
        let done = store.ledger().holds.values().all(|hold| hold.intent.is_none());
        if let Err(error) = store.resign(done).await {
            tracing::warn!(%error, "the office is not given up in order: the next leader waits for the lease");
        }
        election.leave().await;
        Ok(ordered?)
    }
}

#[async_trait]
impl Records for World {
    async fn history(&self, wanted: &Wanted) -> Result<History, String> {
        history(&self.place, wanted).await
    }
}

/// Reads the audit topic.
pub(super) async fn history(place: &Place, wanted: &Wanted) -> Result<History, String> {
    let unread = |fault| format!("cannot read the audit topic: {fault}");
    let mut lines = AuditLines::open(place).await.map_err(unread)?;
    let mut picker = Picker::new(wanted);
    while let Some(line) = lines.next().await {
        let line = line.map_err(unread)?;
        let record: Record = serde_json::from_slice(&line)
            .map_err(|error| format!("the audit topic holds what is no record: {error}"))?;
        picker.take(record);
    }
    Ok(picker.finish())
}

/// What would be done to the client depends on how fast it grows.
fn sized_by_growth(verdict: &Verdict) -> bool {
    !matches!(verdict.state, State::Unknown { .. } | State::Held { .. } | State::Ineffective)
}

/// Orders need no metrics.
struct Blind;

#[async_trait]
impl Metrics for Blind {
    async fn observe(&self, _: &Policy, _: Duration) -> Observed {
        Observed::default()
    }
}

/// A leader gets several requests into its lease.
fn request(lease: Duration) -> Duration {
    REQUEST.min(lease / 3)
}

fn ledger(settings: &Settings, name: Name) -> LedgerSettings {
    let ledger = settings.ledger.clone();
    let request = request(ledger.lease);
    LedgerSettings {
        timeout: request,
        request_timeout: request,
        session: ledger.lease.clamp(SESSION.0, SESSION.1),
        instance: name.instance,
        api: name.api,
        ledger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_is_reached_where_it_says() {
        let api = |listen: &str, advertise| Name::of_daemon(listen.parse().unwrap(), advertise).api;
        assert_eq!(api("127.0.0.1:9620", None), None);
        assert_eq!(api("10.0.0.1:9620", None).unwrap(), "http://10.0.0.1:9620");
        assert_eq!(api("0.0.0.0:9620", None).unwrap(), format!("http://{}:9620", host()));
        for listen in ["127.0.0.1:9620", "0.0.0.0:9620"] {
            assert_eq!(api(listen, Some("https://q/x/")).unwrap(), "https://q/x");
        }
    }
}
