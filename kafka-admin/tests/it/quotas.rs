//! Describing and altering client quotas.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use kafka_admin::{
    AlterMode, Alteration, Altered, Client, Entity, EntityPart, ErrorCode, Filter, Outcome, QuotaEntry,
};
use testbed::kafka::Cluster;
use testbed::wait;
use tokio::time::Instant;

use crate::support::{enforcer, remove, set, user};

const RATE: &str = "producer_byte_rate";
const SHARE: &str = "request_percentage";

fn all_done(altered: &[Altered]) {
    for one in altered {
        one.result.as_ref().unwrap_or_else(|error| panic!("{}: {error}", one.entity));
    }
}

/// Waits until the broker's own image has these values.
async fn live(client: &Client, broker: i32, entity: &Entity, values: &[(&str, f64)]) -> Result<()> {
    let wanted: BTreeMap<_, _> = values.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
    wait::until("the quota to be live", wait::LIMIT, || async {
        let entries = client.describe_client_quotas_at(broker, &Filter::exactly(entity)).await?;
        let found = entries.into_iter().find(|entry| entry.entity == *entity);
        Ok((found.map(|entry| entry.values).unwrap_or_default() == wanted).then_some(()))
    })
    .await
}

#[tokio::test]
async fn quotas_of_every_kind_of_entity_are_set_seen_on_every_broker_and_removed() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = enforcer(&cluster).await;
    let name = |text: &str| EntityPart::name(text);
    let entities = [
        user("rt-plain"),
        user("CN=rt ünïcode ☃,O=a\"b\\c/d%2A*"),
        Entity::client_id(name("rt-client <default>")),
        Entity::user_client(name("rt-both"), name("rt-app, \u{1f980}")),
        Entity::user_client(name("rt-both"), EntityPart::Default),
        Entity::user_client(EntityPart::Default, name("rt-any-user")),
    ];
    let mut alterations: Vec<Alteration> =
        entities.iter().map(|entity| set(entity, RATE, 1_234_567.0)).collect();
    for alteration in &mut alterations {
        alteration.ops.push((SHARE.to_owned(), Some(12.5)));
    }
    let ip = Entity::ip(name("203.0.113.7"));
    alterations.push(set(&ip, "connection_creation_rate", 9.0));
    all_done(&client.alter_client_quotas(&alterations, AlterMode::Apply).await);
    for broker in 1..=3 {
        for entity in &entities {
            live(&client, broker, entity, &[(RATE, 1_234_567.0), (SHARE, 12.5)]).await?;
        }
        live(&client, broker, &ip, &[("connection_creation_rate", 9.0)]).await?;
    }

    let everything = client.describe_client_quotas(&Filter::all()).await?;
    let of_both: Vec<&QuotaEntry> =
        everything.iter().filter(|entry| entry.entity.user == Some(name("rt-both"))).collect();
    assert_eq!(of_both.len(), 2, "{of_both:?}");
    let loose = Filter { components: BTreeMap::from([("user".to_owned(), name("rt-both"))]), strict: false };
    assert_eq!(client.describe_client_quotas(&loose).await?.len(), 2);
    let strict = Filter { strict: true, ..loose };
    assert_eq!(client.describe_client_quotas(&strict).await?, []);

    // One key goes, the other stays; what is absent may be removed.
    let removals: Vec<Alteration> = entities.iter().map(|entity| remove(entity, RATE)).collect();
    all_done(&client.alter_client_quotas(&removals, AlterMode::Apply).await);
    all_done(&client.alter_client_quotas(&removals, AlterMode::Apply).await);
    live(&client, 2, &entities[1], &[(SHARE, 12.5)]).await?;
    let mut rest: Vec<Alteration> = entities.iter().map(|entity| remove(entity, SHARE)).collect();
    rest.push(remove(&ip, "connection_creation_rate"));
    all_done(&client.alter_client_quotas(&rest, AlterMode::Apply).await);
    for entity in &entities {
        live(&client, 3, entity, &[]).await?;
    }
    Ok(())
}

/// Default entities are everyone's, so nobody else may be there.
#[tokio::test]
async fn default_entities_are_not_entities_named_default() -> Result<()> {
    let cluster = Cluster::exclusive().await?;
    let client = enforcer(&cluster).await;
    let huge = 1_099_511_627_776.0;
    let defaults = [
        Entity::user(EntityPart::Default),
        Entity::client_id(EntityPart::Default),
        Entity::user_client(EntityPart::Default, EntityPart::Default),
        Entity::ip(EntityPart::Default),
    ];
    let key = |entity: &Entity| if entity.ip.is_some() { "connection_creation_rate" } else { RATE };
    let value = |entity: &Entity| if entity.ip.is_some() { 1_000_000.0 } else { huge };
    let alterations: Vec<_> = defaults.iter().map(|one| set(one, key(one), value(one))).collect();
    all_done(&client.alter_client_quotas(&alterations, AlterMode::Apply).await);
    for entity in &defaults {
        live(&client, 1, entity, &[(key(entity), value(entity))]).await?;
    }
    live(&client, 1, &user("<default>"), &[]).await?;
    let everyone = Filter::exactly(&defaults[0]);
    let users = client.describe_client_quotas_at(1, &everyone).await?;
    let users: Vec<_> = users.iter().map(|entry| &entry.entity).collect();
    assert_eq!(users, [&defaults[0]]);
    let removals: Vec<_> = defaults.iter().map(|one| remove(one, key(one))).collect();
    all_done(&client.alter_client_quotas(&removals, AlterMode::Apply).await);
    for broker in 1..=3 {
        live(&client, broker, &defaults[3], &[]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn validation_changes_nothing() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = enforcer(&cluster).await;
    let (checked, marker) = (user("vo-checked"), user("vo-marker"));
    all_done(&client.alter_client_quotas(&[set(&checked, RATE, 5.0)], AlterMode::ValidateOnly).await);
    // Once a later change is visible, an earlier one would be.
    all_done(&client.alter_client_quotas(&[set(&marker, RATE, 5.0)], AlterMode::Apply).await);
    live(&client, 1, &marker, &[(RATE, 5.0)]).await?;
    live(&client, 1, &checked, &[]).await?;
    let refused = client.alter_client_quotas(&[set(&checked, RATE, -1.0)], AlterMode::ValidateOnly).await;
    assert!(refused[0].result.is_err());
    all_done(&client.alter_client_quotas(&[remove(&marker, RATE)], AlterMode::Apply).await);
    Ok(())
}

#[tokio::test]
async fn what_is_refused_is_told_for_each_entity_and_the_rest_is_done() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = enforcer(&cluster).await;
    let good = user("pe-good");
    let name = |text: &str| EntityPart::name(text);
    let mixed = Entity { ip: Some(name("203.0.113.8")), ..user("pe-mixed") };
    let alterations = [
        set(&user("pe-key"), "no_such_key", 1.0),
        set(&good, RATE, 7.0),
        set(&user("pe-zero"), RATE, 0.0),
        set(&user("pe-fraction"), RATE, 1.5),
        set(&mixed, RATE, 1.0),
        set(&Entity::ip(name("no such host")), "connection_creation_rate", 1.0),
    ];
    let altered = client.alter_client_quotas(&alterations, AlterMode::Apply).await;
    assert_eq!(altered.len(), alterations.len());
    for (one, asked) in altered.iter().zip(&alterations) {
        assert_eq!(one.entity, asked.entity);
        match &one.result {
            Ok(()) => assert_eq!(one.entity, good),
            Err(error) => {
                assert_ne!(one.entity, good, "{error}");
                assert_eq!(
                    (error.code(), error.outcome()),
                    (Some(ErrorCode(42)), Outcome::Refused),
                    "{error}"
                );
                assert!(
                    error.to_string().len() > "INVALID_REQUEST (42)".len() + 60,
                    "Kafka's words: {error}"
                );
            }
        }
    }
    live(&client, 3, &good, &[(RATE, 7.0)]).await?;
    all_done(&client.alter_client_quotas(&[remove(&good, RATE)], AlterMode::Apply).await);
    Ok(())
}

#[tokio::test]
async fn the_last_of_several_changes_to_one_entity_counts() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = enforcer(&cluster).await;
    let entity = user("tw-twice");
    let alterations = [set(&entity, RATE, 1.0), set(&entity, RATE, 2.0), set(&entity, SHARE, 3.0)];
    all_done(&client.alter_client_quotas(&alterations, AlterMode::Apply).await);
    live(&client, 1, &entity, &[(RATE, 2.0), (SHARE, 3.0)]).await?;
    all_done(
        &client.alter_client_quotas(&[remove(&entity, RATE), remove(&entity, SHARE)], AlterMode::Apply).await,
    );
    Ok(())
}

#[tokio::test]
async fn more_than_ten_thousand_changes_go_in_several_requests() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = enforcer(&cluster).await.with_timeout(wait::LIMIT);
    let entities: Vec<Entity> = (0..10_050).map(|index| user(&format!("many-{index}"))).collect();
    let alterations: Vec<_> = entities.iter().map(|entity| set(entity, RATE, 1e9)).collect();
    let started = Instant::now();
    all_done(&client.alter_client_quotas(&alterations, AlterMode::Apply).await);
    println!("altered {} in {:?}", alterations.len(), started.elapsed());
    let wanted: BTreeSet<&Entity> = entities.iter().collect();
    let seen = wait::until("all of them to be live", wait::LIMIT, || async {
        let started = Instant::now();
        let entries = client.describe_client_quotas_at(2, &Filter::all()).await?;
        println!("described {} in {:?}", entries.len(), started.elapsed());
        let found = entries.iter().filter(|entry| wanted.contains(&entry.entity)).count();
        Ok((found == wanted.len()).then_some(found))
    });
    assert_eq!(seen.await?, 10_050);
    let removals: Vec<_> = entities.iter().map(|entity| remove(entity, RATE)).collect();
    all_done(&client.alter_client_quotas(&removals, AlterMode::Apply).await);
    live(&client, 2, entities.last().unwrap(), &[]).await
}
