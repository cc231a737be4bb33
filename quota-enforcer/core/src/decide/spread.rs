//! Spreading what would otherwise be done at once.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::quota::Slot;

/// The largest part of a duration that is added to it.
const SHARE: f64 = 0.1;

/// The duration and a share of it that follows from the slot: clients that one incident caught are not probed at once. The same in
/// every process.
pub(super) fn spread(slot: &Slot, duration: Duration) -> Duration {
    let digest = Sha256::digest(slot.to_string());
    let number = digest.iter().take(2).fold(0_u16, |number, byte| number << 8 | u16::from(*byte));
    duration + duration.mul_f64(SHARE * f64::from(number) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Entity;
    use crate::quota::Key;

    #[test]
    fn clients_of_one_incident_come_one_after_the_other() {
        let duration = Duration::from_secs(900);
        let slot = |number: u32| Slot {
            entity: Entity::client_id(format!("wild-{number}")),
            key: Key::ProducerByteRate,
        };
        let all: Vec<Duration> = (0..1000).map(|number| spread(&slot(number), duration)).collect();
        assert!(all.iter().all(|spread| (duration..=duration.mul_f64(1.1)).contains(spread)));
        // Each tenth of the time gets about a tenth of them.
        for tenth in 0..10 {
            let from = duration + Duration::from_secs(9) * tenth;
            let count =
                all.iter().filter(|spread| (from..from + Duration::from_secs(9)).contains(spread)).count();
            assert!((60..=140).contains(&count), "{count} in tenth {tenth}");
        }
        assert_eq!(spread(&slot(1), duration), spread(&slot(1), duration));
        assert_eq!(spread(&slot(1), Duration::ZERO), Duration::ZERO);
    }
}
