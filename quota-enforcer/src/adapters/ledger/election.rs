//! Becoming leader, and ceasing to be.

use std::time::Duration;

use quota_enforcer_core::time::Timestamp;
use tokio::sync::watch;

use super::claim::{self, Claim};
use super::establish::{Established, Remembered, establish};
use super::member::{Member, Standing};
use super::store::{Office, Store};
use super::{Fault, Place, blocking, read_ledger, topics};
use crate::ports::{LedgerFault, LedgerStore as _};

/// This process among those that want to lead.
pub struct Election {
    place: Place,
    cluster: String,
    member: Option<Member>,
    /// The assignment that was taken up last.
    taken: Option<u64>,
    /// The last epoch that this process led in. A ledger that has forgotten it is another one.
    led: u64,
}

/// An office: the ledger, and from when on its quotas may be touched.
pub struct Leadership {
    /// The ledger. [`Store::ended`] tells when the leadership is over.
    pub store: Store,
    /// Grows with each leader.
    pub epoch: u64,
    /// On the clock's monotonic scale: from here on an earlier leader sends nothing any more. Reconcile
    /// before and after.
    pub act_from: Duration,
    place: Place,
}

impl Election {
    /// Looks whether the cluster has another ledger, and joins the group. The topics must be there.
    ///
    /// # Errors
    /// [`Fault::Rival`] when there is another ledger; and when the cluster does not answer.
    pub async fn join(place: Place) -> Result<Self, Fault> {
        claim::look_around(&place).await?;
        let cluster = place.admin.describe_cluster().await?.cluster_id;
        let mut election = Self { place, cluster, member: None, taken: None, led: 0 };
        election.standing().await?;
        Ok(election)
    }

    /// Waits until this process leads, for as long as it takes. Dropping the future loses nothing.
    ///
    /// After a leadership has ended, call it again. After an error too, unless [`Fault::needs_a_human`]; with a pause,
    /// since it has left the group to let others try.
    ///
    /// # Errors
    /// When the group refuses this process, or it was chosen and cannot take office.
    pub async fn lead(&mut self) -> Result<Leadership, Fault> {
        loop {
            let mut standing = self.standing().await?;
            let settled = standing.wait_for(|standing| *standing != Standing::Waiting).await;
            let settled = settled.map(|standing| standing.clone()).unwrap_or(Standing::Gone);
            let fault = match settled {
                Standing::Waiting => continue,
                // A leadership of this assignment has ended: the group has to confirm it first.
                Standing::Assigned(term) if self.taken == Some(term) => {
                    self.out().await?;
                    continue;
                }
                Standing::Assigned(term) => {
                    self.taken = Some(term);
                    match self.take_office(term, standing.clone()).await {
                        Ok(leadership) if leadership.store.end().is_none() => return Ok(leadership),
                        Ok(_) => continue,
                        Err(fault) => fault,
                    }
                }
                Standing::Refused(source) => match self.topics().await {
                    Err(lost @ Fault::Lost(_)) => lost,
                    _ => Fault::Kafka { what: "join the group".to_owned(), source },
                },
                Standing::Gone => Fault::Died("the member of the group has died".to_owned()),
            };
            self.out().await?;
            return Err(fault);
        }
    }

    /// Leaves the group, so that the next one is chosen at once.
    pub async fn leave(mut self) {
        if let Err(error) = self.out().await {
            tracing::warn!(%error, "the group is not left in order");
        }
    }

    /// Joins if need be.
    async fn standing(&mut self) -> Result<watch::Receiver<Standing>, Fault> {
        let member = match self.member.take() {
            Some(member) => member,
            None => {
                let place = self.place.clone();
                blocking(move || Member::join(&place)).await?
            }
        };
        Ok(self.member.insert(member).standing())
    }

    async fn out(&mut self) -> Result<(), Fault> {
        self.taken = None;
        let Some(member) = self.member.take() else { return Ok(()) };
        blocking(move || {
            member.leave();
            Ok(())
        })
        .await
    }

    async fn take_office(
        &mut self,
        term: u64,
        standing: watch::Receiver<Standing>,
    ) -> Result<Leadership, Fault> {
        let ledger = self.place.settings.ledger.topic.clone();
        let topics = self.topics().await?;
        let claims = claim::held(&self.place).await?;
        claim::check(&ledger, &claims)?;
        let own = claims.into_iter().find(|held| held.topic == ledger);
        let established = {
            let (place, cluster) = (self.place.clone(), self.cluster.clone());
            let claimed = own.as_ref().map(|held| held.offset);
            let led = self.led;
            blocking(move || establish(&place, &cluster, Remembered { end: claimed, epoch: led })).await?
        };
        let Established { writer, known, leader, act_from } = established;

        let claim = Claim {
            since: own.map_or(Timestamp(self.place.clock.now_ms()), |held| held.claim.since),
            instance: self.place.settings.instance.clone(),
        };
        let end = writer.last(&ledger).map_or(0, |last| last + 1);
        let text = serde_json::to_string(&claim).map_err(|error| Fault::Died(error.to_string()))?;
        if let Some(marker) = self.member.as_ref().map(Member::marker) {
            blocking(move || marker.mark(end, &text)).await?;
        }
        // Two that start at once see each other now.
        claim::check(&ledger, &claim::held(&self.place).await?)?;

        self.led = leader.epoch;
        tracing::info!(epoch = leader.epoch, instance = leader.instance, "leads");
        let (place, epoch) = (self.place.clone(), leader.epoch);
        let office = Office { place: place.clone(), leader, act_from, topics, term, standing };
        Ok(Leadership { store: Store::new(office, known, writer), epoch, act_from, place })
    }

    /// Both topics with their ids.
    async fn topics(&self) -> Result<[(String, u128); 2], Fault> {
        let ledger = &self.place.settings.ledger;
        Ok([self.topic(&ledger.topic).await?, self.topic(&ledger.audit_topic).await?])
    }

    async fn topic(&self, name: &str) -> Result<(String, u128), Fault> {
        match topics::look(&self.place, name).await? {
            Some(topic) => Ok((name.to_owned(), topic.id)),
            // Created anew it would know nothing of what was held.
            None if self.led > 0 => {
                Err(Fault::Lost(format!("topic {name}, which this process led, is gone")))
            }
            // The brokers hear of a new topic one by one.
            None => Err(Fault::Late(format!("the brokers do not know topic {name} yet"))),
        }
    }
}

impl Leadership {
    /// Waits until [`Leadership::act_from`] and keeps the lease meanwhile.
    ///
    /// # Errors
    /// When the leadership ends before.
    pub async fn wait(&self) -> Result<(), LedgerFault> {
        loop {
            let left = self.act_from.saturating_sub(self.place.clock.monotonic());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(self.place.settings.ledger.lease / 3)).await;
            match self.store.commit(&[], &[]).await {
                Ok(_) | Err(LedgerFault::Unavailable(_)) if self.store.end().is_none() => {}
                Ok(_) => return Err(LedgerFault::Fenced),
                Err(fault) => return Err(fault),
            }
        }
    }
}

/// Leads for one act of a command, when no daemon does: joins, takes office within `limit`, waits until it may act.
/// Afterwards [`Store::resign`] and [`Election::leave`].
///
/// # Errors
/// [`Fault::Led`] when another process keeps the office; it has to be asked instead.
pub async fn as_leader(place: Place, limit: Duration) -> Result<(Election, Leadership), Fault> {
    let mut election = Election::join(place.clone()).await?;
    let fault = match tokio::time::timeout(limit, election.lead()).await {
        Ok(Ok(leadership)) => match leadership.wait().await {
            Ok(()) => return Ok((election, leadership)),
            Err(fault) => Fault::Late(fault.to_string()),
        },
        Ok(Err(fault)) => fault,
        Err(_) => {
            let leader = read_ledger(&place).await?.leader;
            Fault::Led(leader.map_or_else(|| "another process".to_owned(), |leader| leader.instance))
        }
    };
    election.leave().await;
    Err(fault)
}
