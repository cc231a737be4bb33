//! Brokers that go away and come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use kafka_admin::{AlterMode, Client, Error, Filter, Outcome, Topics};
use testbed::kafka::{Cluster, ENFORCER, Listener};
use testbed::wait::{self, LIMIT};
use tokio::task::JoinSet;

use crate::support::{client, enforcer, remove, set, user};

const RATE: &str = "producer_byte_rate";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_costs_an_error_and_is_found_again() -> Result<()> {
    let cluster = Cluster::exclusive().await?;
    let client = enforcer(&cluster).await;
    for id in 1..=3 {
        client.api_versions_at(id).await?;
    }
    cluster.broker(2)?.kill();
    let error = client.describe_client_quotas_at(2, &Filter::all()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    // Any other answers, each time.
    for _ in 0..20 {
        client.describe_client_quotas(&Filter::all()).await?;
    }
    cluster.restart(2).await?;
    wait::until("broker 2 to answer", LIMIT, || async {
        Ok(client.describe_client_quotas_at(2, &Filter::all()).await.ok())
    })
    .await?;
    Ok(())
}

/// Whom this client writes to.
async fn writes_to(client: &Client) -> Result<i32> {
    Ok(client.metadata(Topics::NONE).await?.controller.unwrap())
}

/// What a result says is what happened, whenever the broker dies.
#[tokio::test(flavor = "multi_thread")]
async fn an_alteration_under_a_kill_is_done_not_done_or_unknown_and_never_told_wrongly() -> Result<()> {
    const WRITERS: usize = 8;
    const BEFORE: usize = 200;
    const AFTER: usize = 400;
    let cluster = Cluster::exclusive().await?;
    let client = enforcer(&cluster).await;
    let victim = writes_to(&client).await?;
    let done = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (client, done) = (client.clone(), Arc::clone(&done));
        writers.spawn(async move {
            let mut writes = Vec::new();
            while done.fetch_add(1, Ordering::SeqCst) < AFTER {
                let name = format!("kill-{writer}-{}", writes.len());
                let rate = 1_000.0;
                let altered =
                    client.alter_client_quotas(&[set(&user(&name), RATE, rate)], AlterMode::Apply).await;
                writes.push((name, rate, altered[0].result.clone()));
            }
            writes
        });
    }
    let enough = || async { Ok((done.load(Ordering::SeqCst) > BEFORE).then_some(())) };
    wait::until("some writes", LIMIT, enough).await?;
    cluster.broker(victim)?.kill();
    let writes: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    let failed: Vec<&Error> = writes.iter().filter_map(|(_, _, result)| result.as_ref().err()).collect();
    println!("{} of {} failed, such as {:?}", failed.len(), writes.len(), failed.first());
    assert!(failed.len() <= 2 * WRITERS, "only what was under way when it died");
    cluster.restart(victim).await?;

    // Once a later write is seen, earlier ones are.
    let marker = set(&user("kill-marker"), RATE, 7.0);
    client.alter_client_quotas(&[marker], AlterMode::Apply).await[0].result.clone()?;
    let survivor = victim % 3 + 1;
    let live = wait::until("the last write to be seen", LIMIT, || async {
        let entries = client.describe_client_quotas_at(survivor, &Filter::all()).await?;
        let live: BTreeMap<_, _> =
            entries.into_iter().map(|entry| (entry.entity, entry.values.get(RATE).copied())).collect();
        Ok(live.contains_key(&user("kill-marker")).then_some(live))
    })
    .await?;
    for (name, rate, result) in &writes {
        let live = live.get(&user(name)).copied().flatten();
        match result.as_ref().map_err(Error::outcome) {
            Ok(()) => assert_eq!(live, Some(*rate), "{name}"),
            Err(Outcome::Unknown) => assert!(live.is_none() || live == Some(*rate), "{name}: {live:?}"),
            Err(_) => assert_eq!(live, None, "{name}"),
        }
    }
    let mut removals: Vec<_> = writes.iter().map(|(name, ..)| remove(&user(name), RATE)).collect();
    removals.push(remove(&user("kill-marker"), RATE));
    for altered in client.alter_client_quotas(&removals, AlterMode::Apply).await {
        altered.result?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_broker_ends_in_a_timeout_and_leaves_the_outcome_open() -> Result<()> {
    let cluster = Cluster::exclusive().await?;
    let patient = enforcer(&cluster).await;
    let short = [("socket.timeout.ms", "1000"), ("admin.timeout.ms", "3000")];
    let alteration = [set(&user("paused"), RATE, 7.0)];
    // A busy machine may need several times until one has all its connections.
    let (client, paused) = wait::until("a client with short limits", LIMIT, || async {
        let client = client(&cluster, Listener::SaslSsl, ENFORCER, &short).await?;
        for id in 1..=3 {
            client.api_versions_at(id).await?;
        }
        client.alter_client_quotas(&alteration, AlterMode::ValidateOnly).await[0].result.clone()?;
        // Last: each time it asks, another broker may be named.
        let paused = writes_to(&client).await?;
        Ok(Some((client, paused)))
    })
    .await?;
    cluster.broker(paused)?.pause()?;

    // A write is sent once: sent again, to another broker, it would have been done.
    let altered = client.alter_client_quotas(&alteration, AlterMode::Apply).await;
    let error = altered[0].result.as_ref().unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }) && error.outcome() == Outcome::Unknown, "{error}");

    // A read of this broker is tried until the deadline, a read of any ends at another.
    let error = client.describe_client_quotas_at(paused, &Filter::all()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    wait::until("a read of any broker", LIMIT, || async {
        Ok(client.describe_client_quotas(&Filter::all()).await.ok())
    })
    .await?;
    cluster.broker(paused)?.resume()?;
    wait::until("the broker to answer", LIMIT, || async {
        Ok(client.describe_client_quotas_at(paused, &Filter::all()).await.ok())
    })
    .await?;
    patient.alter_client_quotas(&[remove(&user("paused"), RATE)], AlterMode::Apply).await[0]
        .result
        .clone()?;
    Ok(())
}
