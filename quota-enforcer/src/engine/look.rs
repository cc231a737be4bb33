//! What stands, as far as it can be relied on. A broker takes changes over from the controller when it gets to them: one
//! that lags tells what was, so that what matters is asked of all of them.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use quota_enforcer_core::ledger::Ledger;
use quota_enforcer_core::quota::{Slot, Snapshot, same};

use super::{Engine, Tick};
use crate::ports::BrokerId;

impl Engine {
    /// What the brokers tell of slots. One on which they differ is left out, and all are when half of them do not answer:
    /// who is cut off from the controller may be cut off together with us.
    pub(super) async fn agreed(&self, slots: &[Slot], brokers: &[BrokerId]) -> BTreeMap<Slot, Option<f64>> {
        if slots.is_empty() {
            return BTreeMap::new();
        }
        let told = join_all(brokers.iter().map(|broker| self.quotas.told_by(*broker, slots))).await;
        let told: Vec<Snapshot> = told.into_iter().filter_map(Result::ok).collect();
        let Some((first, others)) = told.split_first().filter(|_| told.len() * 2 > brokers.len()) else {
            return BTreeMap::new();
        };
        let values = slots.iter().map(|slot| (slot, first.get(slot)));
        values
            .filter(|(slot, value)| others.iter().all(|other| same(other.get(slot), *value)))
            .map(|(slot, value)| (slot.clone(), value))
            .collect()
    }

    /// Where one broker tells of a hold something else than the ledger, all of them are asked. While they differ nobody
    /// has changed anything.
    pub(super) async fn ask_all(&self, snapshot: &mut Snapshot, ledger: &Ledger, brokers: &[BrokerId]) {
        let deviant = |(slot, ours): &(&Slot, f64)| !same(snapshot.get(slot), Some(*ours));
        let held = ledger.holds.values().filter(|hold| hold.intent.is_none());
        let deviants: Vec<(Slot, f64)> = held
            .filter_map(|hold| Some((&hold.slot, hold.ours?)))
            .filter(deviant)
            .map(|(slot, ours)| (slot.clone(), ours))
            .collect();
        let slots: Vec<Slot> = deviants.iter().map(|(slot, _)| slot.clone()).collect();
        let agreed = self.agreed(&slots, brokers).await;
        for (slot, ours) in deviants {
            let stands = agreed.get(&slot).copied().unwrap_or(Some(ours));
            snapshot.set(slot, stands);
        }
    }

    /// Asks the controller whether it would take what a tick would write.
    pub(super) async fn validate(&self, tick: &mut Tick) {
        let acts = tick.outcome.acts.iter().filter(|act| !act.forget);
        let writes: Vec<(Slot, Option<f64>)> =
            acts.filter_map(|act| Some((act.hold.slot.clone(), act.hold.intent?.to))).collect();
        if writes.is_empty() {
            return;
        }
        match self.quotas.alter(&writes, true).await {
            Ok(answers) => {
                for ((slot, _), answer) in writes.iter().zip(answers) {
                    if let Err(why) = answer {
                        tick.faults.push(format!("{slot} would be refused: {why}"));
                    }
                }
            }
            Err(fault) => tick.faults.push(format!("cannot ask whether it would be taken: {fault}")),
        }
    }
}
