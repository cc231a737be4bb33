//! One connection to one broker, shared by all calls to it.
//!
//! Two tasks own the two halves of the stream. A call leaves its frame in the outbox and waits for the answer with its correlation id;
//! a call that is given up leaves the stream intact.

mod handshake;
mod pending;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::calls::api_versions::ApiVersions;
use crate::config::Config;
use crate::error::{Endpoint, Error, Outcome};
use crate::wire::{self, Call, Frames, MAX_FRAME, ReadError};
use handshake::Greeted;
use pending::{Broken, Failed, Pending};

/// Requests that wait to be written.
const OUTBOX: usize = 64;

pub(crate) struct Connection {
    client_id: String,
    versions: ApiVersions,
    outbox: mpsc::Sender<(i32, Bytes)>,
    pending: Arc<Pending>,
    /// When the broker wants to hear credentials again, with a margin.
    expires: Option<Instant>,
    /// Ends with the connection.
    _tasks: JoinSet<()>,
}

impl Connection {
    /// Connects, encrypts, authenticates. The caller sets the deadline.
    pub(crate) async fn open(config: &Config, endpoint: &Endpoint) -> Result<Self, Error> {
        let Greeted { mut frames, writer, versions, expires } = handshake::greet(config, endpoint).await?;
        frames.limit = MAX_FRAME;
        let pending = Arc::new(Pending::default());
        let (outbox, requests) = mpsc::channel(OUTBOX);
        let mut tasks = JoinSet::new();
        tasks.spawn(receive(frames, Arc::clone(&pending)));
        tasks.spawn(send(writer, requests, Arc::clone(&pending)));
        let client_id = config.client_id.clone();
        tracing::debug!(%endpoint, "connected");
        Ok(Self { client_id, versions, outbox, pending, expires, _tasks: tasks })
    }

    /// Whether a new call may use it.
    pub(crate) fn is_usable(&self) -> bool {
        !self.pending.is_broken() && self.expires.is_none_or(|expires| Instant::now() < expires)
    }

    /// Sends a request and waits for its answer.
    ///
    /// Kafka answers in order, so after a request that timed out nothing else would be answered in time: the connection ends with it.
    /// The endpoint is what errors name: the id may have been unknown when the connection was opened.
    pub(crate) async fn call<Q: Call>(
        &self,
        endpoint: &Endpoint,
        request: &Q,
        deadline: Instant,
    ) -> Result<Q::Response, Error> {
        let version = self.versions.pick::<Q>(endpoint)?;
        let started = Instant::now();
        let timeout = |outcome| Error::Timeout {
            request: Q::name(),
            endpoint: endpoint.clone(),
            after: started.elapsed(),
            outcome,
        };
        let failed = |failed| match failed {
            Failed::Late => timeout(Outcome::NotSent),
            Failed::Ended { sent, broken } => interrupted::<Q>(endpoint, sent, broken),
        };
        let (id, answer) = self.pending.enter(deadline).map_err(failed)?;
        let frame = wire::encode(request, version, id, &self.client_id).map_err(|reason| {
            self.pending.withdraw(id);
            Error::Request { request: Q::name(), reason }
        })?;
        let answered = timeout_at(deadline, async {
            // A closed outbox has closed the answer too.
            self.outbox.send((id, frame)).await.ok();
            answer.await
        });
        let frame = match answered.await {
            Ok(Ok(answer)) => answer.map_err(failed)?,
            Ok(Err(_)) => return Err(interrupted::<Q>(endpoint, true, Broken::closed())),
            Err(_) => {
                let outcome = outcome(self.pending.withdraw(id));
                self.pending.end(&Broken::new("an earlier request has had no answer"));
                return Err(timeout(outcome));
            }
        };
        let response = wire::decode::<Q>(frame, version).map_err(|reason| {
            self.pending.end(&Broken::malformed(reason.clone()));
            malformed::<Q>(endpoint, reason, Outcome::Unknown)
        })?;
        match Q::refusal(&response) {
            None => Ok(response),
            Some(refusal) => Err(Error::Kafka {
                request: Q::name(),
                endpoint: endpoint.clone(),
                code: refusal.code,
                message: refusal.message,
            }),
        }
    }
}

fn interrupted<Q: Call>(endpoint: &Endpoint, sent: bool, broken: Broken) -> Error {
    let outcome = outcome(sent);
    match broken.malformed {
        true => malformed::<Q>(endpoint, broken.reason, outcome),
        false => Error::Interrupted {
            request: Q::name(),
            endpoint: endpoint.clone(),
            reason: broken.reason,
            outcome,
        },
    }
}

fn malformed<Q: Call>(endpoint: &Endpoint, reason: String, outcome: Outcome) -> Error {
    Error::Malformed { request: Q::name(), endpoint: endpoint.clone(), reason, outcome }
}

fn outcome(sent: bool) -> Outcome {
    if sent { Outcome::Unknown } else { Outcome::NotSent }
}

/// Hands answers to those who wait, until the stream ends.
async fn receive<R: AsyncRead + Unpin>(mut frames: Frames<R>, pending: Arc<Pending>) {
    let broken = loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            () = pending.ended() => return,
        };
        let accepted = match frame {
            Ok(frame) => pending.accept(frame),
            Err(ReadError::Closed) => Err(Broken::closed()),
            Err(ReadError::Io(error)) => Err(Broken::new(error.to_string())),
            Err(ReadError::Frame(error)) => Err(Broken::malformed(error.to_string())),
        };
        if let Err(broken) = accepted {
            break broken;
        }
    };
    pending.end(&broken);
}

/// Writes what waits in the outbox, unless nobody waits for the answer any more or it is too late.
async fn send<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut requests: mpsc::Receiver<(i32, Bytes)>,
    pending: Arc<Pending>,
) {
    while let Some((id, frame)) = requests.recv().await {
        let Some(deadline) = pending.begin(id, Instant::now()) else { continue };
        let written = tokio::select! {
            written = write(&mut writer, &frame, deadline) => written,
            () = pending.ended() => return,
        };
        if let Err(error) = written {
            return pending.end(&Broken::new(error.to_string()));
        }
    }
}

/// Writes a frame, looking at the clock before each piece: one that is late stays incomplete, so that no broker acts on it.
async fn write<W: AsyncWrite + Unpin>(writer: &mut W, mut frame: &[u8], deadline: Instant) -> io::Result<()> {
    while !frame.is_empty() {
        let written = in_time(deadline, |cx| Pin::new(&mut *writer).poll_write(cx, frame)).await?;
        match frame.get(written..) {
            Some(rest) if written > 0 => frame = rest,
            _ => return Err(io::ErrorKind::WriteZero.into()),
        }
    }
    in_time(deadline, |cx| Pin::new(&mut *writer).poll_flush(cx)).await
}

async fn in_time<T>(
    deadline: Instant,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> io::Result<T> {
    poll_fn(|cx| match Instant::now() < deadline {
        true => poll(cx),
        false => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "a request was written too late"))),
    })
    .await
}

#[cfg(test)]
mod tests;
