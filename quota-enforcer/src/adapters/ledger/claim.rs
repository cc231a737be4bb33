//! Which ledger a cluster's enforcers have: a text beside the offset that the group has committed for the ledger's topic.
//!
//! It is as good as the group's offsets are: Kafka forgets them some days after the group has become empty
//! (`offsets.retention.minutes`), and shows those of topics only that the principal may describe. Two enforcers that
//! run at the same time and cannot see each other's claims still fence each other, since their transactional id is one.

use quota_enforcer_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Fault, IDENTITY, PARTITION, Place};

/// What is written beside the offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// When this ledger was first led.
    pub(super) since: Timestamp,
    /// Who wrote it last.
    pub(super) instance: String,
}

/// A claim as the group has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) topic: String,
    /// The ledger's end when it was claimed last.
    pub(super) offset: i64,
    pub(super) claim: Claim,
}

/// All claims of the group.
pub(super) async fn held(place: &Place) -> Result<Vec<Held>, Fault> {
    let offsets = place.admin.group_offsets(IDENTITY).await?;
    let held = offsets.into_iter().filter(|offset| offset.partition == PARTITION).filter_map(|offset| {
        // Another's text is no claim: offsets alone are none either.
        let claim = serde_json::from_str(&offset.metadata).ok()?;
        Some(Held { topic: offset.topic, offset: offset.offset, claim })
    });
    Ok(held.collect())
}

/// Looks for another ledger before the group is joined: claimed, or led by a member right now.
pub(super) async fn look_around(place: &Place) -> Result<(), Fault> {
    check(&place.settings.ledger.topic, &held(place).await?)?;
    let members = place.admin.group_members(IDENTITY).await?;
    let other = members.iter().find_map(|member| {
        let topic = member.topics.iter().find(|topic| **topic != place.settings.ledger.topic)?;
        Some((member, topic))
    });
    match other {
        None => Ok(()),
        Some((member, topic)) => Err(rival(
            &place.settings.ledger.topic,
            topic,
            &format!(
                "client {} at {} is a member of group {IDENTITY} with it",
                member.client_id, member.host
            ),
        )),
    }
}

/// The oldest claim holds.
pub(super) fn check(ledger: &str, held: &[Held]) -> Result<(), Fault> {
    let age = |held: &Held| (held.claim.since, held.topic.clone());
    let own = held.iter().find(|held| held.topic == ledger).map(age);
    let others = held.iter().filter(|held| held.topic != ledger);
    let older = others.filter(|other| own.as_ref().is_none_or(|own| age(other) < *own));
    match older.min_by_key(|held| age(held)) {
        None => Ok(()),
        Some(other) => {
            let who = format!("{} claimed it in group {IDENTITY}", other.claim.instance);
            Err(rival(ledger, &other.topic, &who))
        }
    }
}

fn rival(ledger: &str, other: &str, who: &str) -> Fault {
    Fault::Rival(format!(
        "this cluster has another ledger, {other} ({who}), and two ledgers would undo each other's quotas: use ledger {other} here, \
         or stop that enforcer, release what it holds, and run kafka-consumer-groups --delete-offsets --group {IDENTITY} --topic {other} \
         before {ledger} is used"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(topic: &str, since: i64) -> Held {
        let claim = Claim { since: Timestamp(since), instance: "a".to_owned() };
        Held { topic: topic.to_owned(), offset: 1, claim }
    }

    #[test]
    fn nothing_or_ones_own_claim_is_no_rival() {
        assert!(check("a", &[]).is_ok());
        assert!(check("a", &[held("a", 5)]).is_ok());
    }

    #[test]
    fn the_older_claim_holds() {
        let both = [held("a", 5), held("b", 6)];
        assert!(check("a", &both).is_ok());
        let refused = check("b", &both).unwrap_err();
        assert!(refused.to_string().contains("another ledger, a "), "{refused}");
        assert!(check("c", &both).is_err(), "a newcomer claims nothing beside another");
    }

    #[test]
    fn of_two_at_once_one_holds() {
        let both = [held("a", 5), held("b", 5)];
        assert!(check("a", &both).is_ok() && check("b", &both).is_err());
    }
}
