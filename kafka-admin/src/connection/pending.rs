//! Who waits for which answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::wire;

/// Calls of one connection at a time, those included whose callers have gone.
const MAX_WAITING: usize = 1_024;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) reason: String,
    /// Whether the broker broke the protocol.
    pub(super) malformed: bool,
}

impl Broken {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), malformed: false }
    }

    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), malformed: true }
    }

    pub(super) fn closed() -> Self {
        Self::new("it was closed by the other side")
    }
}

/// A call that gets no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// Its deadline passed before any byte of it was written.
    Late,
    /// The connection ended.
    Ended {
        /// Whether any byte of it may have been written.
        sent: bool,
        broken: Broken,
    },
}

type Answer = Result<Bytes, Failed>;

#[derive(Default)]
pub(super) struct Pending {
    state: Mutex<State>,
    ended: CancellationToken,
}

#[derive(Default)]
struct State {
    next: i32,
    waiting: HashMap<i32, Waiter>,
    broken: Option<Broken>,
}

struct Waiter {
    answer: oneshot::Sender<Answer>,
    deadline: Instant,
    sent: bool,
}

impl Pending {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.state().broken.is_some()
    }

    /// Returns when the connection has ended.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// A correlation id, and where the answer will be.
    pub(super) fn enter(&self, deadline: Instant) -> Result<(i32, oneshot::Receiver<Answer>), Failed> {
        let mut state = self.state();
        if let Some(broken) = &state.broken {
            return Err(Failed::Ended { sent: false, broken: broken.clone() });
        }
        if state.waiting.len() >= MAX_WAITING {
            let broken = Broken::new(format!("{MAX_WAITING} requests wait for their answers"));
            return Err(Failed::Ended { sent: false, broken });
        }
        let id = state.next;
        state.next = id.wrapping_add(1);
        let (answer, receiver) = oneshot::channel();
        state.waiting.insert(id, Waiter { answer, deadline, sent: false });
        Ok((id, receiver))
    }

    /// Marks a request as sent, and tells until when it may be. `None`: its caller has gone, so that it need not be, or its
    /// deadline has passed, so that it must not be: in a queue, or while this process was stopped.
    pub(super) fn begin(&self, id: i32, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        let waiter = state.waiting.get_mut(&id)?;
        let late = now >= waiter.deadline;
        if !late && !waiter.answer.is_closed() {
            waiter.sent = true;
            return Some(waiter.deadline);
        }
        let waiter = state.waiting.remove(&id)?;
        drop(state);
        if late {
            waiter.answer.send(Err(Failed::Late)).ok();
        }
        None
    }

    /// Takes a call back; whether it had been sent.
    pub(super) fn withdraw(&self, id: i32) -> bool {
        self.state().waiting.remove(&id).is_some_and(|waiter| waiter.sent)
    }

    /// Gives a frame to whom it belongs. An answer to a question that was not asked means that nothing on this stream can be trusted.
    pub(super) fn accept(&self, frame: Bytes) -> Result<(), Broken> {
        let id = wire::correlation_id(&frame).ok_or_else(|| Broken::malformed("a frame is too short"))?;
        let waiter = {
            let mut state = self.state();
            match state.waiting.remove(&id) {
                Some(waiter) if waiter.sent => waiter,
                _ => return Err(Broken::malformed(format!("an answer to request {id}, which nobody sent"))),
            }
        };
        // The caller may have gone.
        waiter.answer.send(Ok(frame)).ok();
        Ok(())
    }

    /// Ends the connection, once, and tells everybody who waits.
    pub(super) fn end(&self, broken: &Broken) {
        let waiting = {
            let mut state = self.state();
            state.broken.get_or_insert_with(|| broken.clone());
            std::mem::take(&mut state.waiting)
        };
        self.ended.cancel();
        for (_, Waiter { answer, sent, .. }) in waiting {
            answer.send(Err(Failed::Ended { sent, broken: broken.clone() })).ok();
        }
    }
}

#[cfg(test)]
mod tests;
