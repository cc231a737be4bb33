use proptest::prelude::*;

use super::*;
use crate::quota::EntityPart;

fn alteration(user: usize, ops: usize) -> Alteration {
    let ops = (0..ops).map(|key| (format!("key{key}"), Some(1.0))).collect();
    Alteration { entity: Entity::user(EntityPart::name(user.to_string())), ops }
}

proptest! {
    #[test]
    fn batches_are_the_alterations_in_order_and_each_fits(
        spec in proptest::collection::vec((0_usize..30, 0_usize..4_000), 0..60),
    ) {
        let all: Vec<_> = spec.iter().map(|(user, ops)| alteration(*user, *ops)).collect();
        let batches = batches(&all);
        prop_assert_eq!(batches.concat(), all.clone());
        for batch in batches {
            let ops: usize = batch.iter().map(|one| one.ops.len()).sum();
            prop_assert!(!batch.is_empty() && ops <= MAX_OPS);
            let entities: BTreeSet<_> = batch.iter().map(|one| &one.entity).collect();
            prop_assert_eq!(entities.len(), batch.len());
        }
    }
}

#[test]
fn an_alteration_larger_than_a_batch_goes_alone() {
    let all = [alteration(1, 1), alteration(2, MAX_OPS + 1), alteration(3, 1)];
    assert_eq!(batches(&all).iter().map(|batch| batch.len()).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn answers_belong_to_their_entities_whatever_their_order() {
    use kafka_protocol::messages::alter_client_quotas_response as answer;
    let batch = [alteration(1, 1), alteration(2, 1), alteration(3, 1)];
    let entity = |name: &'static str| {
        let part = answer::EntityData::default()
            .with_entity_type(StrBytes::from_static_str("user"))
            .with_entity_name(Some(StrBytes::from_static_str(name)));
        answer::EntryData::default().with_entity(vec![part]).with_error_message(None)
    };
    let refused = entity("2").with_error_code(42).with_error_message(Some(StrBytes::from_static_str("no")));
    let response = AlterClientQuotasResponse::default().with_entries(vec![refused, entity("1")]);
    let endpoint = Endpoint { id: Some(5), host: "kafka".to_owned(), port: 9092 };
    let results = results(&batch, &response, &endpoint);
    assert!(results[0].result.is_ok());
    let second = results[1].result.as_ref().unwrap_err();
    assert_eq!(
        second.to_string(),
        "AlterClientQuotas: broker 5 at kafka:9092 answers INVALID_REQUEST (42): no"
    );
    assert_eq!(second.outcome(), Outcome::Refused);
    assert_eq!(results[2].result.as_ref().unwrap_err().outcome(), Outcome::Unknown);
}
