//! The client of a cluster: which broker, over which connection, how often.

mod directory;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

use crate::calls::metadata::{self, Metadata, Topics};
use crate::config::Config;
use crate::connection::Connection;
use crate::error::{Endpoint, Error, Outcome};
use crate::retry::ATTEMPTS;
use crate::wire::Call;
use directory::Directory;

/// Whom a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Whoever is there; one that is connected, by preference.
    Any,
    /// Whom the metadata call controller, or else whoever is there: with KRaft each broker forwards.
    Controller,
    /// This one and no other.
    Broker(i32),
}

/// Whether a request may be sent again after it may have been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    Freely,
    OnlyUnsent,
}

type Slot = Arc<tokio::sync::Mutex<Option<Arc<Connection>>>>;

/// A client of one cluster. Cheap to clone; clones share one connection per broker.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    timeout: Duration,
}

struct Shared {
    config: Config,
    directory: Mutex<Directory>,
    slots: Mutex<HashMap<(String, u16), Slot>>,
}

impl Client {
    /// Reaches one of the bootstrap servers and learns the brokers from it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let timeout = config.call_timeout;
        let directory = Mutex::new(Directory::new(config.bootstrap.clone()));
        let client =
            Self { shared: Arc::new(Shared { config, directory, slots: Mutex::default() }), timeout };
        client.metadata(Topics::NONE).await?;
        Ok(client)
    }

    /// The same client, whose calls take at most so long in all.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A call that changes nothing, so that it can be repeated.
    pub(crate) async fn read<Q: Call>(&self, target: Target, request: &Q) -> Result<Q::Response, Error> {
        self.read_from(target, request).await.map(|(response, _)| response)
    }

    /// The same, with the broker that answered.
    pub(crate) async fn read_from<Q: Call>(
        &self,
        target: Target,
        request: &Q,
    ) -> Result<(Q::Response, Endpoint), Error> {
        self.call(target, request, Repeat::Freely).await
    }

    /// A call that changes something: it is repeated only when surely no broker has got it.
    pub(crate) async fn write_to<Q: Call>(
        &self,
        target: Target,
        request: &Q,
    ) -> Result<(Q::Response, Endpoint), Error> {
        self.call(target, request, Repeat::OnlyUnsent).await
    }

    /// Takes over what metadata say about brokers.
    pub(crate) fn learn(&self, metadata: &Metadata) {
        self.with_directory(|directory| directory.learn(metadata));
        let known = self.with_directory(|directory| directory.addresses());
        let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|address, _| known.contains(address));
    }

    async fn call<Q: Call>(
        &self,
        target: Target,
        request: &Q,
        repeat: Repeat,
    ) -> Result<(Q::Response, Endpoint), Error> {
        let deadline = Instant::now() + self.timeout;
        let mut tried = Vec::new();
        let mut attempt = 0;
        loop {
            let error = match self.attempt(target, request, repeat, deadline, &mut tried).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let repeatable = repeat == Repeat::Freely || error.outcome() == Outcome::NotSent;
            let pause = self.shared.config.backoff.pause(attempt, fastrand::f64());
            attempt += 1;
            let late = Instant::now() + pause >= deadline;
            if !repeatable || !error.is_transient() || attempt >= ATTEMPTS || late {
                return Err(error);
            }
            tracing::debug!(request = Q::name(), %error, ?pause, "trying again");
            sleep(pause).await;
            if target != Target::Any {
                self.refresh(deadline).await;
            }
        }
    }

    async fn attempt<Q: Call>(
        &self,
        target: Target,
        request: &Q,
        repeat: Repeat,
        deadline: Instant,
        tried: &mut Vec<Endpoint>,
    ) -> Result<(Q::Response, Endpoint), Error> {
        let chosen = self.with_directory(|directory| directory.choose(target, tried));
        let endpoint = match (chosen, target) {
            (Some(endpoint), _) => endpoint,
            (None, Target::Broker(id)) => {
                self.refresh(deadline).await;
                self.with_directory(|directory| directory.choose(target, tried))
                    .ok_or(Error::UnknownBroker(id))?
            }
            (None, _) => return Err(Error::UnknownBroker(-1)),
        };
        tried.push(endpoint.clone());
        let now = Instant::now();
        // Where another broker could answer, one that hangs leaves it half of the time.
        let share = match target {
            Target::Broker(_) => deadline,
            Target::Any | Target::Controller => now + deadline.saturating_duration_since(now) / 2,
        };
        let exchange = async {
            let connection = self.connection(&endpoint, share).await?;
            let limit = if repeat == Repeat::Freely { share } else { deadline };
            let until = limit.min(Instant::now() + self.shared.config.request_timeout);
            connection.call(&endpoint, request, until).await
        };
        let span = span::<Q>(&endpoint);
        let result = exchange.instrument(span.clone()).await;
        if let Err(error) = &result {
            span.record("otel.status_code", "error").record("otel.status_description", display(error));
        }
        self.with_directory(|directory| directory.prefer(&endpoint, result.is_ok()));
        result.map(|response| (response, endpoint))
    }

    /// The connection to a broker, opened if need be. Callers for one broker wait for one opening.
    async fn connection(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Arc<Connection>, Error> {
        let slot = {
            let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry((endpoint.host.clone(), endpoint.port)).or_default())
        };
        let started = Instant::now();
        let opening = async {
            let mut slot = slot.lock().await;
            match slot.as_ref().filter(|connection| connection.is_usable()) {
                Some(connection) => Ok(Arc::clone(connection)),
                None => {
                    *slot = None;
                    let opened = Arc::new(Connection::open(&self.shared.config, endpoint).await?);
                    *slot = Some(Arc::clone(&opened));
                    Ok(opened)
                }
            }
        };
        let until = deadline.min(started + self.shared.config.setup_timeout);
        timeout_at(until, opening).await.unwrap_or_else(|_| {
            Err(Error::Timeout {
                request: "connect".to_owned(),
                endpoint: endpoint.clone(),
                after: started.elapsed(),
                outcome: Outcome::NotSent,
            })
        })
    }

    /// Learns the brokers anew from whoever is there; without one, what is known stays.
    async fn refresh(&self, deadline: Instant) {
        let (request, mut tried) = (metadata::request(Topics::NONE), Vec::new());
        // Boxed, since an attempt may refresh.
        match Box::pin(self.attempt(Target::Any, &request, Repeat::Freely, deadline, &mut tried)).await {
            Ok((response, _)) => self.learn(&Metadata::new(response)),
            Err(error) => tracing::debug!(%error, "metadata are not refreshed"),
        }
    }

    fn with_directory<T>(&self, run: impl FnOnce(&mut Directory) -> T) -> T {
        run(&mut self.shared.directory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Of one request to one broker, as OpenTelemetry names things. The connection is in it, where one has to be opened.
fn span<Q: Call>(endpoint: &Endpoint) -> Span {
    tracing::info_span!(
        "request",
        otel.name = Q::name(),
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        broker = %endpoint,
    )
}
