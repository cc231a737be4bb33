//! The task that stands for election, and holds the office while this process leads.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use quota_enforcer_core::ledger::Ledger;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::keeper::Seat;
use crate::adapters::ledger::{Election, End, Fault, Leadership, Place, Store, ensure_topics, read_ledger};
use crate::ports::LedgerStore as _;

/// After a fault that may pass by itself.
const SOON: Duration = Duration::from_secs(5);
/// After one that a person has to do something about.
const LATER: Duration = Duration::from_secs(60);
/// How often a process that does not lead reads the ledger.
const LOOK: Duration = Duration::from_secs(15);
/// How often a leader reads back what it wrote.
const VERIFY: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Office {
    pub(super) place: Place,
    pub(super) seat: watch::Sender<Seat>,
    pub(super) known: watch::Sender<Ledger>,
}

impl Office {
    /// Runs until it is cancelled; whoever acts as leader has to have stopped by then.
    pub(super) async fn run(self, cancel: CancellationToken) {
        loop {
            let fault = match self.serve(&cancel).await {
                Ok(()) => return,
                Err(fault) => fault,
            };
            let pause = if fault.needs_a_human() {
                tracing::error!(error = %fault, "this process may not enforce; it goes on observing");
                self.seat.send_replace(Seat::Refused(fault.to_string()));
                if matches!(fault, Fault::Lost(_)) {
                    // New topics would look like a ledger that holds nothing: that is for a person to say, by a restart.
                    return cancel.cancelled().await;
                }
                LATER
            } else {
                self.stumble(&fault);
                SOON
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// What may pass by itself.
    fn stumble(&self, fault: &Fault) {
        tracing::warn!(error = %fault, "no part in the election; tried again soon");
        self.seat.send_if_modified(|seat| {
            let refused = matches!(seat, Seat::Refused(_));
            if !refused {
                *seat = Seat::Joining { fault: Some(fault.to_string()) };
            }
            !refused
        });
    }

    /// Returns without a fault when it is cancelled.
    async fn serve(&self, cancel: &CancellationToken) -> Result<(), Fault> {
        let joined = async {
            for warning in ensure_topics(&self.place).await? {
                tracing::warn!("{warning}");
            }
            Election::join(self.place.clone()).await
        };
        let mut election = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            joined = joined => joined?,
        };
        loop {
            self.seat.send_replace(Seat::Standby);
            let led = tokio::select! {
                () = cancel.cancelled() => None,
                led = election.lead() => Some(led),
                never = self.follow() => match never {},
            };
            let leadership = match led {
                None => {
                    election.leave().await;
                    return Ok(());
                }
                Some(Ok(leadership)) => leadership,
                Some(Err(fault)) if fault.needs_a_human() => return Err(fault),
                // The same election goes on: a new one would make topics anew, and know of none that are gone.
                Some(Err(fault)) => {
                    self.stumble(&fault);
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        () = sleep(SOON) => {}
                    }
                    continue;
                }
            };
            match self.hold(leadership, cancel).await {
                None => {
                    election.leave().await;
                    return Ok(());
                }
                Some(End::Lost(text)) => {
                    election.leave().await;
                    return Err(Fault::Lost(text));
                }
                Some(_) => {}
            }
        }
    }

    /// Keeps what is known of the ledger fresh.
    async fn follow(&self) -> Infallible {
        loop {
            match read_ledger(&self.place).await {
                Ok(ledger) => drop(self.known.send_replace(ledger)),
                Err(error) => tracing::warn!(%error, "cannot read the ledger"),
            }
            sleep(LOOK).await;
        }
    }

    /// Returns why the office ended; `None` when it was given up because of the cancellation.
    async fn hold(&self, leadership: Leadership, cancel: &CancellationToken) -> Option<End> {
        let Leadership { store, epoch, act_from, .. } = leadership;
        let lease = self.place.settings.ledger.lease;
        self.seat.send_replace(Seat::Office { store: Arc::new(store.clone()), epoch, act_from });
        let end = tokio::select! {
            () = cancel.cancelled() => None,
            end = store.ended() => Some(end),
            never = verify(&store) => match never {},
            () = useless(&store, lease) => {
                tracing::warn!("the ledger cannot be written from here: the office is given up, for another process to try");
                // Nobody knows what is under way: the next leader waits.
                drop(store.resign(false).await);
                Some(End::Resigned)
            }
        };
        if end.is_none() {
            // The next leader need not wait when nothing is under way.
            let done = store.ledger().holds.values().all(|hold| hold.intent.is_none());
            if let Err(fault) = store.resign(done).await {
                tracing::warn!(error = %fault, "the office is not given up in order: the next leader waits for the lease");
            }
            self.seat.send_replace(Seat::Standby);
        }
        self.known.send_replace(store.ledger());
        end
    }
}

/// Waits until nothing could be written for two leases after the one that was there.
async fn useless(store: &Store, lease: Duration) {
    let looks = lease / 4;
    let mut without = 0;
    while without < 8 {
        sleep(looks).await;
        without = if store.lease_left().is_zero() { without + 1 } else { 0 };
    }
}

/// Reads back what was written, now and then.
async fn verify(store: &Store) -> Infallible {
    loop {
        sleep(VERIFY).await;
        if let Err(fault) = store.verify().await {
            tracing::warn!(error = %fault, "cannot verify the ledger");
        }
    }
}
