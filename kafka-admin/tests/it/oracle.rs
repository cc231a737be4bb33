//! Kafka's own command-line tool sees what this client writes, and the other way round.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use kafka_admin::{AlterMode, Alteration, Entity, EntityPart, Filter};
use testbed::kafka::{Cluster, Listener, quotas_told};
use testbed::wait;

use crate::support::{enforcer, user};

const TOOL: &str = "kafka.admin.ConfigCommand";

/// Quotas that are this test's own, as the tool words them.
fn lines(output: &str) -> BTreeSet<String> {
    quotas_told(output).into_iter().filter(|line| line.contains("or-")).collect()
}

fn worded(entity: &Entity, values: &BTreeMap<String, f64>) -> String {
    let part = |kind: &str, part: &EntityPart| match part {
        EntityPart::Default => format!("the default {kind}"),
        EntityPart::Name(name) => format!("{kind} '{name}'"),
    };
    let mut parts = Vec::new();
    parts.extend(entity.user.as_ref().map(|user| part("user-principal", user)));
    parts.extend(entity.client_id.as_ref().map(|client| part("client-id", client)));
    // Java writes 1.0E8 where it is large; the values here are not.
    let values: Vec<_> = values.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    format!("Quota configs for {} are {}", parts.join(", "), values.join(", "))
}

#[tokio::test]
async fn kafkas_tool_and_this_client_see_the_same_quotas() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = enforcer(&cluster).await;
    let server = cluster.bootstrap(Listener::Plaintext);
    let at = ["--bootstrap-server", server.as_str()];
    let name = |text: &str| EntityPart::name(text);

    // Written here, read there.
    let entities = [
        user("or-user, =x"),
        Entity::client_id(name("or-client ü")),
        Entity::user_client(name("or-both"), name("or-app")),
        Entity::user_client(name("or-both"), EntityPart::Default),
    ];
    let ops = || {
        vec![("producer_byte_rate".to_owned(), Some(1_024.0)), ("request_percentage".to_owned(), Some(12.5))]
    };
    let alterations: Vec<_> =
        entities.iter().map(|entity| Alteration { entity: entity.clone(), ops: ops() }).collect();
    for altered in client.alter_client_quotas(&alterations, AlterMode::Apply).await {
        altered.result?;
    }
    let mut told = BTreeSet::new();
    for kinds in [&["users"][..], &["clients"], &["users", "clients"]] {
        let types = kinds.iter().flat_map(|kind| ["--entity-type", kind]);
        let arguments: Vec<&str> = at.into_iter().chain(["--describe"]).chain(types).collect();
        told.extend(lines(&cluster.tool(TOOL, &arguments).await?));
    }
    let values: BTreeMap<_, _> = ops().into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let wanted: BTreeSet<_> = entities.iter().map(|entity| worded(entity, &values)).collect();
    assert_eq!(told, wanted);

    // Written there, read here.
    let add = ["--alter", "--add-config", "consumer_byte_rate=2048", "--entity-type", "users"];
    let arguments =
        [&at[..], &add, &["--entity-name", "or-tool, ☃", "--entity-type", "clients", "--entity-default"]]
            .concat();
    cluster.tool(TOOL, &arguments).await?;
    let entity = Entity::user_client(name("or-tool, ☃"), EntityPart::Default);
    let filter = Filter::exactly(&entity);
    let wanted = BTreeMap::from([("consumer_byte_rate".to_owned(), 2_048.0)]);
    // Brokers hear of it one by one.
    wait::until("the tool's quota", wait::LIMIT, || async {
        let found = client.describe_client_quotas(&filter).await?;
        Ok((found.len() == 1 && found[0].values == wanted).then_some(()))
    })
    .await?;

    // Removed here, gone there.
    let gone = |entity: &Entity, keys: &[&str]| Alteration {
        entity: entity.clone(),
        ops: keys.iter().map(|key| ((*key).to_owned(), None)).collect(),
    };
    let mut removals: Vec<_> =
        entities.iter().map(|one| gone(one, &["producer_byte_rate", "request_percentage"])).collect();
    removals.push(gone(&entity, &["consumer_byte_rate"]));
    for altered in client.alter_client_quotas(&removals, AlterMode::Apply).await {
        altered.result?;
    }
    let arguments = [&at[..], &["--describe", "--entity-type", "users"]].concat();
    assert_eq!(lines(&cluster.tool(TOOL, &arguments).await?), BTreeSet::new());
    Ok(())
}
