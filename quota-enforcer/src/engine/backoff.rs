//! Writes that do not come about are tried again, less and less often: each try leaves two records for good.

use std::collections::BTreeMap;
use std::time::Duration;

use quota_enforcer_core::audit::Event;
use quota_enforcer_core::quota::Slot;

use super::act::Done;

/// Until the first try after a failure; it doubles with each one that follows.
const FIRST: Duration = Duration::from_secs(1);
/// However often it failed. What is to be released waits no longer once it can be written again.
const LONGEST: Duration = Duration::from_secs(60);

/// The quotas whose last write did not come about.
#[derive(Debug, Default)]
pub(super) struct Backoff(BTreeMap<Slot, Failure>);

#[derive(Debug)]
struct Failure {
    why: String,
    pause: Duration,
    /// Tried again from here on.
    due: Duration,
}

impl Backoff {
    /// Those that are not to be tried yet, with what became of them.
    pub(super) fn waiting(&self, now: Duration) -> BTreeMap<Slot, String> {
        let waiting = self.0.iter().filter(|(_, failure)| now < failure.due);
        let told = |failure: &Failure| {
            format!("it could not be written ({}) and is tried again within a minute", failure.why)
        };
        waiting.map(|(slot, failure)| (slot.clone(), told(failure))).collect()
    }

    /// Takes down what became of writes.
    pub(super) fn note(&mut self, failed: BTreeMap<Slot, String>, done: &[Done], now: Duration) {
        // Nobody has wanted to write those for long.
        self.0.retain(|_, failure| now < failure.due + 2 * LONGEST);
        for done in done.iter().filter(|done| done.event != Event::Aborted) {
            self.0.remove(&done.slot);
        }
        for (slot, why) in failed {
            let before = self.0.get(&slot).map(|failure| failure.pause);
            let pause = before.map_or(FIRST, |pause| (pause * 2).min(LONGEST));
            self.0.insert(slot, Failure { why, pause, due: now + pause });
        }
    }
}

#[cfg(test)]
mod tests {
    use quota_enforcer_core::entity::Entity;
    use quota_enforcer_core::quota::Key;

    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_success() {
        let slot = Slot { entity: Entity::client_id("a"), key: Key::RequestPercentage };
        let failed = || BTreeMap::from([(slot.clone(), "refused".to_owned())]);
        let done = |event| [Done { slot: slot.clone(), to: None, event, why: String::new() }];
        let mut backoff = Backoff::default();
        let mut now = Duration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            backoff.note(failed(), &done(Event::Aborted), now);
            let then = now;
            while !backoff.waiting(now).is_empty() {
                now += Duration::from_secs(1);
            }
            pauses.push((now - then).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        backoff.note(failed(), &[], now);
        assert!(backoff.waiting(now)[&slot].contains("(refused)"));
        backoff.note(BTreeMap::new(), &done(Event::Done), now);
        assert!(backoff.waiting(now).is_empty());
        backoff.note(failed(), &[], now);
        assert!(backoff.waiting(now + FIRST).is_empty(), "it begins anew");
    }
}
