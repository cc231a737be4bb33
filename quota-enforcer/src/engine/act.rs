//! Carrying acts out: intent, describe, alter, read back, done. Each quota write is in the ledger before it is sent, and
//! is settled by what the brokers tell, never by what was sent.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use quota_enforcer_core::audit::{Entry, Event};
use quota_enforcer_core::decide::{Act, REACTION};
use quota_enforcer_core::ledger::{Change, Fact, Hold, Intent};
use quota_enforcer_core::quota::{Slot, Snapshot, same};
use quota_enforcer_core::recover::{Recovery, is_open, reconcile};
use quota_enforcer_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{Instrument as _, info_span};

use super::probe::Stage;
use super::{Engine, Stopwatch};
use crate::ports::{BrokerId, LedgerFault, LedgerStore, QuotaFault};

/// Pause between two looks at whether the brokers tell a new value.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// It grows up to this, so that slow brokers are not made slower.
const LOOK_LATER: Duration = Duration::from_millis(100);

/// What one write came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Of what.
    pub slot: Slot,
    /// What was to stand there.
    pub to: Option<f64>,
    /// How it ended.
    pub event: Event,
    /// In words.
    pub why: String,
}

/// What a tick's acts came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Performed {
    /// Writes that were settled.
    pub(super) done: Vec<Done>,
    /// What failed, for people.
    pub(super) faults: Vec<String>,
    /// Writes that were not sent or not taken, with the reason.
    failed: BTreeMap<Slot, String>,
    /// The ledger took so long that something was not done.
    pub(super) late: bool,
}

impl Performed {
    fn fails(&mut self, slot: &Slot, why: String) {
        self.faults.push(format!("{slot} is not written: {why}"));
        self.failed.insert(slot.clone(), why);
    }
}

/// What is to be carried out.
pub(super) struct Work<'a> {
    pub(super) acts: &'a [Act],
    /// Changes of the ledger beside those of the acts.
    pub(super) changes: Vec<Change>,
    /// Records beside those of the acts.
    pub(super) entries: Vec<Entry>,
    /// The person who asked for it; nobody where a rule did.
    pub(super) by: Option<&'a str>,
    /// Digest of the policy that decided it; none where a person did.
    pub(super) policy: Option<&'a str>,
    pub(super) at: Timestamp,
    /// When that was on the clock's monotonic scale.
    pub(super) decided: Duration,
    /// Who has to tell a new value before it is live.
    pub(super) brokers: Vec<BrokerId>,
}

/// What stands in a slot after a write, as far as it is known.
enum Live {
    /// What was to stand there.
    Written,
    /// What stood there before: it was not written.
    Failed(String),
    /// The brokers do not agree yet.
    Unsure,
    /// Nobody knows: there was no answer.
    Unanswered,
}

impl Engine {
    /// Settles writes whose outcome was unknown when they were made, by a process before this one or by this one, where the
    /// brokers agree on what stands. Unless it is `certain` what time it is, none is settled for its age.
    pub(super) async fn settle_intents(
        &mut self,
        store: &dyn LedgerStore,
        brokers: &[BrokerId],
        now: Timestamp,
        certain: bool,
    ) -> Result<Vec<Done>, LedgerFault> {
        let age_at = if certain { now } else { Timestamp(i64::MIN) };
        let open = self.open(store);
        let slots: Vec<Slot> = open.iter().map(|hold| hold.slot.clone()).collect();
        let agreed = self.agreed(&slots, brokers).await;
        let settled = open
            .into_iter()
            .filter_map(|hold| {
                let live = *agreed.get(&hold.slot)?;
                Some((hold, live))
            })
            .filter(|(hold, live)| !is_open(hold, *live, age_at, self.limits.in_flight))
            .collect();
        self.settle(store, settled, None, now).await
    }

    /// Holds with a write under way, as far as this process knows: when nobody answers, the ledger may not take it either.
    fn open(&self, store: &dyn LedgerStore) -> Vec<Hold> {
        let known = |hold: Hold| {
            let intent = hold.intent?;
            let unanswered = intent.unanswered || self.unanswered.get(&hold.slot) == Some(&intent.at);
            Some(Hold { intent: Some(Intent { unanswered, ..intent }), ..hold })
        };
        store.ledger().holds.into_values().filter_map(known).collect()
    }

    /// Carries out what was decided or ordered.
    pub(super) async fn perform(
        &mut self,
        store: &dyn LedgerStore,
        work: Work<'_>,
        watch: &mut Stopwatch,
    ) -> Result<Performed, LedgerFault> {
        let Work { acts, mut changes, mut entries, by, policy, at, decided, brokers } = work;
        let mut performed = Performed::default();
        changes.extend(acts.iter().map(change));
        entries.extend(acts.iter().map(|act| entry(act, by, policy, at)));
        if changes.is_empty() && entries.is_empty() {
            return Ok(performed);
        }
        let began = self.clock.monotonic();
        commit(store, &changes, &entries).await?;
        let ledger = self.since(began);
        watch.reached(Stage::Intended);

        let writes: Vec<(Hold, Intent)> = acts
            .iter()
            .filter(|act| !act.forget)
            .filter_map(|act| Some((act.hold.clone(), act.hold.intent?)))
            .collect();
        if writes.is_empty() {
            return Ok(performed);
        }
        // Kafka compares nothing: what a human writes between this look and our write is overwritten, and only that.
        let looked = self.clock.monotonic();
        let slots: Vec<Slot> = writes.iter().map(|(hold, _)| hold.slot.clone()).collect();
        let before = self.agreed(&slots, &brokers).instrument(info_span!("describe")).await;
        watch.reached(Stage::Described);
        let brokers_took = self.since(looked);
        let late = self.since(decided) > REACTION;
        let short = store.lease_left() <= self.limits.request;
        let (mut expected, mut settled) = (Vec::new(), Vec::new());
        for (hold, intent) in writes {
            let why = match before.get(&hold.slot) {
                Some(live) if !same(*live, intent.from) => {
                    settled.push((hold, *live));
                    continue;
                }
                None => "the brokers do not agree on it, or too few answer".to_owned(),
                // The client may have grown since, so that what was safe then may mute it for too long now.
                Some(_) if late && hold.tightens() => {
                    performed.late = ledger >= brokers_took;
                    went_by(ledger, brokers_took)
                }
                Some(_) if short => "the lease ends too soon to write".to_owned(),
                Some(_) => {
                    expected.push((hold, intent));
                    continue;
                }
            };
            performed.fails(&hold.slot, why);
            settled.push((hold, intent.from));
        }
        if !expected.is_empty() {
            let lives = self.alter(&expected, brokers, looked, &mut performed.faults, watch).await;
            for ((hold, intent), live) in expected.into_iter().zip(lives) {
                match live {
                    Live::Written => settled.push((hold, intent.to)),
                    Live::Failed(why) => {
                        performed.fails(&hold.slot, why);
                        settled.push((hold, intent.from));
                    }
                    Live::Unsure => {}
                    Live::Unanswered => {
                        self.unanswered.insert(hold.slot, intent.at);
                    }
                }
            }
        }
        watch.reached(Stage::Live);
        let done = self.settle(store, settled, by, at + self.since(decided)).await?;
        watch.reached(Stage::Done);
        self.backoff.note(std::mem::take(&mut performed.failed), &done, self.clock.monotonic());
        performed.done = done;
        Ok(performed)
    }

    fn since(&self, then: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(then)
    }

    /// Sends the writes and reads them back. One answer per write.
    async fn alter(
        &self,
        writes: &[(Hold, Intent)],
        brokers: Vec<BrokerId>,
        looked: Duration,
        faults: &mut Vec<String>,
        watch: &mut Stopwatch,
    ) -> Vec<Live> {
        let request: Vec<(Slot, Option<f64>)> =
            writes.iter().map(|(hold, intent)| (hold.slot.clone(), intent.to)).collect();
        let altering = self.quotas.alter(&request, false);
        let answers = match altering.instrument(info_span!("alter", quotas = request.len())).await {
            Ok(answers) => answers,
            Err(QuotaFault::Failed(why)) => {
                return writes.iter().map(|_| Live::Failed(why.clone())).collect();
            }
            Err(fault @ QuotaFault::Unknown(_)) => {
                faults.push(format!("a write of quotas was not answered: {fault}"));
                return writes.iter().map(|_| Live::Unanswered).collect();
            }
        };
        watch.reached(Stage::Altered);
        self.probe.unguarded(self.clock.monotonic().saturating_sub(looked));
        let taken: BTreeMap<&Slot, Option<f64>> = request
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| answer.is_ok())
            .map(|((slot, to), _)| (slot, *to))
            .collect();
        let live = self.read_back(&taken, brokers).await;
        if !live && !taken.is_empty() {
            faults.push("not every broker tells the new quotas yet".to_owned());
        }
        let outcome = |answer: Result<(), String>| match answer {
            Ok(()) if live => Live::Written,
            Ok(()) => Live::Unsure,
            Err(why) => Live::Failed(format!("it was refused: {why}")),
        };
        answers.into_iter().map(outcome).collect()
    }

    /// Waits until every broker tells the new values; false when some do not in time.
    #[tracing::instrument(skip_all)]
    async fn read_back(&self, values: &BTreeMap<&Slot, Option<f64>>, mut brokers: Vec<BrokerId>) -> bool {
        if brokers.is_empty() {
            return false;
        }
        let slots: Vec<Slot> = values.keys().map(|slot| (*slot).clone()).collect();
        let stands = |snapshot: &Snapshot| values.iter().all(|(slot, to)| same(snapshot.get(slot), *to));
        let looks = async {
            let mut pause = LOOK_AGAIN;
            while !brokers.is_empty() {
                let told = brokers.iter().map(|broker| self.quotas.told_by(*broker, &slots));
                let snapshots = join_all(told).await;
                let told: Vec<bool> =
                    snapshots.iter().map(|answer| answer.as_ref().is_ok_and(stands)).collect();
                let mut told = told.into_iter();
                brokers.retain(|_| !told.next().unwrap_or(false));
                if !brokers.is_empty() {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LOOK_LATER);
                }
            }
        };
        tokio::time::timeout(self.limits.read_back, looks).await.is_ok()
    }

    /// Records what each write came to, by what stands in its slot, and which ones were not answered.
    async fn settle(
        &mut self,
        store: &dyn LedgerStore,
        settled: Vec<(Hold, Option<f64>)>,
        by: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Done>, LedgerFault> {
        let unmarked = self.open(store).into_iter().filter(|hold| self.unanswered.contains_key(&hold.slot));
        let mut changes: Vec<Change> = unmarked.map(|hold| Change::Put(Fact::Hold(hold))).collect();
        let (mut entries, mut done) = (Vec::new(), Vec::new());
        // They could come into effect until now, over whatever a human wrote after our look.
        let unanswered =
            settled.iter().filter_map(|(hold, _)| hold.intent.filter(|intent| intent.unanswered));
        let unguarded: Vec<Duration> = unanswered.map(|intent| now.since(intent.at)).collect();
        for (hold, live) in settled {
            let Recovery { changes: own, event, why } = reconcile(&hold, live, now);
            let Some(event) = event else { continue };
            changes.extend(own);
            entries.push(Entry {
                at: now,
                event,
                by: author(by, &hold),
                slot: Some(hold.slot.clone()),
                before: hold.intent.and_then(|intent| intent.from),
                after: live,
                why: why.clone(),
                evidence: serde_json::Value::Null,
                policy: hold.policy.clone(),
            });
            done.push(Done { to: hold.intent.and_then(|intent| intent.to), slot: hold.slot, event, why });
        }
        if !changes.is_empty() || !entries.is_empty() {
            commit(store, &changes, &entries).await?;
        }
        self.unanswered.clear();
        unguarded.into_iter().for_each(|took| self.probe.unguarded(took));
        Ok(done)
    }
}

#[tracing::instrument(skip_all, fields(entries = entries.len()))]
async fn commit(store: &dyn LedgerStore, changes: &[Change], entries: &[Entry]) -> Result<(), LedgerFault> {
    store.commit(changes, entries).await.map(drop)
}

/// Why something was not written in time: a ledger that is slow is another matter than brokers that are. The slower of them
/// is named.
fn went_by(ledger: Duration, brokers: Duration) -> String {
    let by = match ledger >= brokers {
        true => format!("the ledger took {:.1} s to be written", ledger.as_secs_f64()),
        false => format!("brokers took {:.1} s to tell what stands", brokers.as_secs_f64()),
    };
    format!("more than {} s went by since it was decided: {by}", REACTION.as_secs())
}

fn change(act: &Act) -> Change {
    let fact = Fact::Hold(act.hold.clone());
    if act.forget { Change::Remove(fact.key()) } else { Change::Put(fact) }
}

/// Who is behind it: the person that asked, or the rule.
fn author(by: Option<&str>, hold: &Hold) -> String {
    by.map_or_else(|| format!("rule {}", hold.rule), str::to_owned)
}

fn entry(act: &Act, by: Option<&str>, policy: Option<&str>, now: Timestamp) -> Entry {
    let hold = &act.hold;
    Entry {
        at: now,
        event: act.event,
        by: author(by, hold),
        slot: Some(hold.slot.clone()),
        before: hold.intent.map_or(hold.ours, |intent| intent.from),
        after: hold.intent.map_or(hold.ours, |intent| intent.to),
        why: act.why.clone(),
        evidence: act.evidence.clone(),
        policy: policy.unwrap_or(&hold.policy).to_owned(),
    }
}
