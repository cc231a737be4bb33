//! Makes the two topics where they are missing, and looks whether they are what they must be.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_admin::{ErrorCode, Topic, Topics};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use super::checks::{Found, Wanted, wanted};
use super::{Fault, Place, blocking, client};

/// `UNKNOWN_TOPIC_OR_PARTITION`.
const UNKNOWN: i16 = 3;
/// How long a new topic may take until a broker knows its leader.
const SETTLE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

type Admin = AdminClient<DefaultClientContext>;

/// Creates ledger and audit topic if they are missing and checks their settings. Hands back what is worth a warning.
///
/// # Errors
/// [`Fault::Topics`] with what to create or change, in words and commands; and when the cluster does not answer.
pub async fn ensure_topics(place: &Place) -> Result<Vec<String>, Fault> {
    let admin: Admin = client::base(place).create().map_err(Fault::kafka("start the admin client"))?;
    let result = ensure(place, &admin).await;
    // Its end waits for a thread.
    blocking(move || {
        drop(admin);
        Ok(())
    })
    .await?;
    result
}

async fn ensure(place: &Place, admin: &Admin) -> Result<Vec<String>, Fault> {
    let wanted = wanted(&place.settings.ledger);
    for topic in &wanted {
        if look(place, &topic.name).await?.is_none() {
            create(place, admin, topic).await?;
        }
    }
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for topic in &wanted {
        let findings = topic.check(&describe(place, admin, topic).await?);
        errors.extend(findings.errors);
        warnings.extend(findings.warnings);
    }
    if errors.is_empty() { Ok(warnings) } else { Err(Fault::Topics(errors)) }
}

/// A topic as the brokers know it, with a leader; `None` when there is none of this name.
pub(super) async fn look(place: &Place, name: &str) -> Result<Option<Topic>, Fault> {
    let metadata = place.admin.metadata(Topics::Named(&[name])).await?;
    let topic = metadata.topics.into_iter().find(|topic| topic.name == name);
    match topic {
        Some(topic) => match topic.error {
            None => Ok(Some(topic)),
            Some(ErrorCode(UNKNOWN)) => Ok(None),
            Some(code) => Err(Fault::Topics(vec![format!(
                "the brokers do not describe topic {name}: {code}; allow Describe, DescribeConfigs, Read and Write on it"
            )])),
        },
        None => Ok(None),
    }
}

async fn create(place: &Place, admin: &Admin, wanted: &Wanted) -> Result<(), Fault> {
    let cluster = place.admin.metadata(Topics::NONE).await?;
    let brokers = cluster.brokers.len();
    if brokers < wanted.replicas as usize {
        return Err(Fault::Topics(vec![format!(
            "topic {} is missing and cannot have {} replicas on {brokers} brokers: set replication: {brokers}",
            wanted.name, wanted.replicas
        )]));
    }
    let replication = TopicReplication::Fixed(wanted.replicas.cast_signed());
    let mut topic = NewTopic::new(&wanted.name, 1, replication);
    for (key, value) in &wanted.configs {
        topic = topic.set(key, value);
    }
    let options = AdminOptions::new().request_timeout(Some(SETTLE)).operation_timeout(Some(SETTLE));
    let results = admin
        .create_topics([&topic], &options)
        .await
        .map_err(Fault::kafka(format!("create topic {}", wanted.name)))?;
    for result in results {
        match result {
            Ok(_) => tracing::info!(topic = wanted.name, "created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => {
                return Err(Fault::Topics(vec![format!(
                    "topic {} is missing and cannot be created ({code}): allow Create, or run {}",
                    wanted.name,
                    wanted.command()
                )]));
            }
        }
    }
    let led = async {
        loop {
            let topic = look(place, &wanted.name).await?;
            if topic.is_some_and(|topic| topic.partitions.iter().any(|partition| partition.leader.is_some()))
            {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let late = |_| Err(Fault::Late(format!("topic {} was created and has no leader yet", wanted.name)));
    tokio::time::timeout(SETTLE, led).await.unwrap_or_else(late)
}

async fn describe(place: &Place, admin: &Admin, wanted: &Wanted) -> Result<Found, Fault> {
    let name = wanted.name.as_str();
    // The brokers hear of a new topic one by one.
    let unknown = || Fault::Late(format!("the brokers do not know topic {name} yet"));
    let topic = look(place, name).await?.ok_or_else(unknown)?;
    let options = AdminOptions::new().request_timeout(Some(SETTLE));
    let results = admin
        .describe_configs([&ResourceSpecifier::Topic(name)], &options)
        .await
        .map_err(Fault::kafka(format!("describe the settings of topic {name}")))?;
    let mut configs = BTreeMap::new();
    for result in results {
        let resource = result.map_err(|code| match code {
            RDKafkaErrorCode::UnknownTopicOrPartition => unknown(),
            code => Fault::Topics(vec![format!(
                "the settings of topic {name} cannot be checked ({code}): allow DescribeConfigs on it"
            )]),
        })?;
        configs.extend(resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))));
    }
    let replicas =
        topic.partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or_default();
    Ok(Found { partitions: topic.partitions.len(), replicas, configs })
}
