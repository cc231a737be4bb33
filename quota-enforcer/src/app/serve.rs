//! The daemon, wired: configuration, listener, the engine's task, the election's task.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use daemon_kit::admin::Options;
use daemon_kit::args::RuntimeArgs;
use daemon_kit::clock::Clock;
use daemon_kit::diagnostic::{self, Diagnostic, Format};
use daemon_kit::reload::{self, Current};
use daemon_kit::runtime::Runtime;
use daemon_kit::source::Source;
use daemon_kit::tasks::{BoxError, Tasks};
use daemon_kit::{ready, telemetry};
use quota_enforcer_core::ledger::Ledger;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::failpoint::Probes;
use super::keeper::{Keeper, Outlets, Parts, Seat, Waiting};
use super::office::Office;
use super::world::{self, Name, World};
use crate::adapters::ledger::Place;
use crate::adapters::prometheus::Prometheus;
use crate::api::{self, Api, Asked};
use crate::cli::GlobalArgs;
use crate::engine::Engine;
use crate::metrics::Meters;
use crate::ports::Quotas;
use crate::spec::{self, Settings};
use crate::status::Status;
use crate::views::history::{History, Records, Wanted};

const NAME: &str = "quota-enforcer";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// For the tick under way, and what the configuration wants to be released.
const ENGINE_LIMIT: Duration = Duration::from_secs(60);
/// For a last transaction, and leaving the group.
const OFFICE_LIMIT: Duration = Duration::from_secs(20);
/// Orders that wait for a tick to end.
const ORDERS: usize = 64;
/// Between two looks at what needs no tick.
const LOOK_AFTER: Duration = Duration::from_secs(30);
/// Between attempts to reach Kafka at the start.
const RETRY: Duration = Duration::from_secs(2);

/// Runs until it is asked to end.
///
/// # Errors
/// The configuration cannot be used, or the port cannot be had.
pub async fn serve(path: PathBuf, args: RuntimeArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let telemetry = telemetry::start(telemetry::Options {
        service: NAME,
        version: VERSION,
        filter: &global.log.log_level,
        format: global.log.log_format,
        otlp_endpoint: args.otlp_endpoint.as_deref(),
    })?;
    let settings = world::settings(&path)?;
    let mut runtime = Runtime::builder(NAME, VERSION).admin(listener(&settings, args)).build()?;
    let config = runtime.config(reload::Options::new(path), load).map_err(reload::Failed::from)?;
    wire(&mut runtime, config)?;
    let code = match runtime.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "stopped");
            ExitCode::from(error.exit_code())
        }
    };
    telemetry.shutdown().await;
    Ok(code)
}

/// Flags win over the file.
fn listener(settings: &Settings, args: RuntimeArgs) -> Options {
    let mut options = args.admin.clone().options(settings.admin.listen.port());
    options.listen = args.admin.admin_listen.unwrap_or(settings.admin.listen);
    options.token_file = options.token_file.or_else(|| settings.admin.token_file.clone());
    options.limits.request_time = api::REQUEST_TIME;
    options
}

fn load(source: &Source) -> Result<Settings, Vec<Diagnostic>> {
    let (settings, warnings) = spec::load_here(source, &|name| std::env::var(name).ok())?;
    for warning in warnings {
        let mut text = Vec::new();
        // A Vec takes whatever is written to it.
        drop(diagnostic::write(&mut text, &warning, Format::Text { color: false }));
        tracing::warn!("{}", String::from_utf8_lossy(&text).trim_end());
    }
    Ok(settings)
}

/// Makes routes, metrics, conditions and tasks.
fn wire(runtime: &mut Runtime, config: Current<Settings>) -> anyhow::Result<()> {
    let clock = runtime.clock();
    let address = runtime.admin_address().context("no admin listener")?;
    let (status, status_seen) = watch::channel(Arc::new(Status::default()));
    let (seen, seen_seen) = watch::channel(None);
    let (beat, beats) = watch::channel(clock.monotonic());
    let (orders, asked) = mpsc::channel(ORDERS);
    let (plans, planned) = mpsc::channel(ORDERS);
    let (seat, seats) = watch::channel(Seat::Joining { fault: None });
    let (known, knowns) = watch::channel(Ledger::default());
    let (found, finds) = oneshot::channel::<Place>();
    let records = Arc::new(Late::default());
    let meters = Meters::register(runtime.registry(), status_seen.clone());
    let probes = Probes::from_env(meters.clone()).map_err(anyhow::Error::msg)?;
    runtime.routes(api::routes(&Api {
        status: status_seen,
        seen: seen_seen,
        orders,
        plans,
        records: Arc::<Late>::clone(&records),
        clock: Arc::clone(&clock),
    }));

    let readiness = runtime.readiness();
    let engine = runtime.stage("engine", ENGINE_LIMIT);
    let start = Start {
        clock: Arc::clone(&clock),
        config: config.clone(),
        name: Name::of_daemon(address, config.borrow().value.admin.advertise.as_deref()),
        outlets: Outlets { status, seen, beat, meters },
        waiting: Waiting {
            kafka: Some(readiness.handle("an answer of Kafka")),
            prometheus: Some(readiness.handle("an answer of Prometheus")),
        },
        probes,
        seats,
        knowns,
        asked,
        planned,
        records,
        found,
        tasks: engine.clone(),
    };
    engine.critical("engine", |cancel| start.run(cancel));
    let fresh = readiness.condition("ticks");
    engine.critical("watchdog", |cancel| watchdog(fresh, beats, config, clock, cancel));
    // After the engine: whoever gives the office up must not act any more.
    let office = runtime.stage("ledger", OFFICE_LIMIT);
    office.critical("ledger", |cancel| async move {
        let place = tokio::select! {
            () = cancel.cancelled() => return,
            place = finds => place,
        };
        match place {
            Ok(place) => Office { place, seat, known }.run(cancel).await,
            // The engine's task has failed, and says so.
            Err(_) => cancel.cancelled().await,
        }
    });
    Ok(())
}

/// What the engine's task begins with.
struct Start {
    clock: Arc<dyn Clock>,
    config: Current<Settings>,
    name: Name,
    outlets: Outlets,
    waiting: Waiting,
    probes: Probes,
    seats: watch::Receiver<Seat>,
    knowns: watch::Receiver<Ledger>,
    asked: mpsc::Receiver<Asked>,
    planned: mpsc::Receiver<Asked>,
    records: Arc<Late>,
    found: oneshot::Sender<Place>,
    tasks: Tasks,
}

impl Start {
    async fn run(self, cancel: CancellationToken) -> Result<(), BoxError> {
        let settings = self.config.borrow().value.clone();
        let metrics = Arc::new(Prometheus::new(&settings, Arc::clone(&self.clock))?);
        let world = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            world = connect(&settings, &self.clock, &self.name) => world?,
        };
        // Set once: nobody else sets it.
        drop(self.records.0.set(world.place().clone()));
        // The election's task is gone only when the process ends.
        drop(self.found.send(world.place().clone()));
        let (looks, config) = (Arc::clone(&metrics), self.config.clone());
        self.tasks.critical("metrics", |cancel| look_after(looks, world.quotas(), config, cancel));
        let engine = Engine::new(
            metrics,
            world.quotas(),
            Arc::clone(&self.clock),
            Arc::new(self.probes),
            world.limits(),
        );
        let keeper = Keeper::new(Parts {
            engine,
            clock: self.clock,
            config: self.config,
            seat: self.seats,
            known: self.knowns,
            orders: self.asked,
            plans: self.planned,
            outlets: self.outlets,
            waiting: self.waiting,
            own: world.own(),
        });
        keeper.run(cancel).await;
        Ok(())
    }
}

/// Waits for Kafka as long as that may help.
async fn connect(settings: &Settings, clock: &Arc<dyn Clock>, name: &Name) -> anyhow::Result<World> {
    loop {
        match World::connect(settings, Arc::clone(clock), name.clone()).await {
            Ok(world) => return Ok(world),
            Err(error) => match error.downcast_ref::<kafka_admin::Error>() {
                Some(cause) if cause.is_transient() => {
                    tracing::warn!("{error:#}; tried again until it answers");
                    sleep(RETRY).await;
                }
                _ => return Err(error),
            },
        }
    }
}

/// Beside the ticks: says plainly what of the metrics is amiss until nothing is, and makes baselines.
async fn look_after(
    metrics: Arc<Prometheus>,
    quotas: Arc<dyn Quotas>,
    config: Current<Settings>,
    cancel: CancellationToken,
) {
    let mut said = BTreeSet::new();
    let mut checked = false;
    loop {
        let settings = config.borrow().value.clone();
        let mut amiss: BTreeSet<String> =
            metrics.refresh_baselines(&settings.policy).await.into_iter().collect();
        if !checked && let Ok(cluster) = quotas.cluster().await {
            let brokers = cluster.brokers.keys().copied().collect();
            let messages = metrics.self_check(&settings.policy, &brokers, settings.prometheus.timeout).await;
            checked = messages.is_empty();
            amiss.extend(messages);
            if checked {
                tracing::info!(
                    profile = settings.profile.name,
                    "self-check: the metrics give what the rules need"
                );
            }
        }
        for message in amiss.difference(&said) {
            tracing::warn!("self-check: {message}");
        }
        said = amiss;
        tokio::select! {
            () = cancel.cancelled() => return,
            () = sleep(LOOK_AFTER) => {}
        }
    }
}

/// Takes readiness away when the engine stands still.
async fn watchdog(
    fresh: ready::Condition,
    beats: watch::Receiver<Duration>,
    config: Current<Settings>,
    clock: Arc<dyn Clock>,
    cancel: CancellationToken,
) {
    loop {
        let age = clock.monotonic().saturating_sub(*beats.borrow());
        let allowed = {
            let settings = &config.borrow().value;
            settings.tick * 3 + settings.prometheus.timeout * 2
        };
        if age > allowed {
            fresh.fails(format!("the last one ended {} s ago", age.as_secs()));
        } else {
            fresh.holds();
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// The audit topic, from when Kafka has been reached.
#[derive(Default)]
struct Late(OnceLock<Place>);

#[async_trait]
impl Records for Late {
    async fn history(&self, wanted: &Wanted) -> Result<History, String> {
        match self.0.get() {
            Some(place) => world::history(place, wanted).await,
            None => Err("Kafka has not answered yet".to_owned()),
        }
    }
}
