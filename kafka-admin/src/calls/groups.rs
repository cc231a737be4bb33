//! FindCoordinator (10), OffsetFetch (9), DescribeGroups (15): what a consumer group has committed, and who is in it.

use kafka_protocol::messages::{
    ApiKey, DescribeGroupsRequest, DescribeGroupsResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    GroupId, OffsetFetchRequest, OffsetFetchResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::client::{Client, Target};
use crate::error::{Error, ErrorCode};
use crate::wire::shape::{Field, INT16, INT32, INT64, Kind, Shape, always, since};
use crate::wire::{Call, Refusal};

/// `NOT_COORDINATOR`.
const NOT_COORDINATOR: i16 = 16;

/// Up to version 3 a request is for one group.
impl Call for FindCoordinatorRequest {
    type Response = FindCoordinatorResponse;
    const KEY: ApiKey = ApiKey::FindCoordinator;
    const VERSIONS: (i16, i16) = (1, 3);
    const SHAPE: Shape = Shape {
        flexible: 3,
        fields: &[
            always(INT32),
            always(INT16),
            always(Kind::String),
            always(INT32),
            always(Kind::String),
            always(INT32),
        ],
        tags: &[],
    };

    fn refusal(response: &FindCoordinatorResponse) -> Option<Refusal> {
        Refusal::new(response.error_code, response.error_message.as_ref())
    }
}

const OFFSET: &[Field] =
    &[always(INT32), always(INT64), since(5, INT32), always(Kind::String), always(INT16)];

/// From version 2 on a request can be for all partitions, up to version 7 it is for one group.
impl Call for OffsetFetchRequest {
    type Response = OffsetFetchResponse;
    const KEY: ApiKey = ApiKey::OffsetFetch;
    const VERSIONS: (i16, i16) = (2, 7);
    const SHAPE: Shape = Shape {
        flexible: 6,
        fields: &[
            since(3, INT32),
            always(Kind::Structs(&[always(Kind::String), always(Kind::Structs(OFFSET))])),
            always(INT16),
        ],
        tags: &[],
    };

    fn refusal(response: &OffsetFetchResponse) -> Option<Refusal> {
        Refusal::new(response.error_code, None)
    }
}

const MEMBER: &[Field] = &[
    always(Kind::String),
    since(4, Kind::String),
    always(Kind::String),
    always(Kind::String),
    always(Kind::Bytes),
    always(Kind::Bytes),
];

impl Call for DescribeGroupsRequest {
    type Response = DescribeGroupsResponse;
    const KEY: ApiKey = ApiKey::DescribeGroups;
    const VERSIONS: (i16, i16) = (1, 5);
    const SHAPE: Shape = Shape {
        flexible: 5,
        fields: &[
            always(INT32),
            always(Kind::Structs(&[
                always(INT16),
                always(Kind::String),
                always(Kind::String),
                always(Kind::String),
                always(Kind::String),
                always(Kind::Structs(MEMBER)),
                since(3, INT32),
            ])),
        ],
        tags: &[],
    };

    /// One group is asked for at a time, so its error is that of the answer.
    fn refusal(response: &DescribeGroupsResponse) -> Option<Refusal> {
        response.groups.iter().find_map(|group| Refusal::new(group.error_code, None))
    }
}

/// What a group has committed for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffset {
    /// Topic.
    pub topic: String,
    /// Number of the partition.
    pub partition: i32,
    /// The offset that was committed.
    pub offset: i64,
    /// What the committer wrote beside it.
    pub metadata: String,
}

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The client's own name.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// The topics that it wants to consume.
    pub topics: Vec<String>,
}

impl Client {
    /// Everything that a consumer group has committed, as far as the principal may describe the topics. Empty for a group
    /// that does not exist.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, Error> {
        let request = OffsetFetchRequest::default().with_group_id(id(group)).with_topics(None);
        let response = self.ask_coordinator(group, &request).await?;
        let topics = response.topics.into_iter().flat_map(|topic| {
            let name = topic.name.0.to_string();
            topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
        });
        let committed =
            topics.filter(|(_, partition)| partition.committed_offset >= 0).map(|(topic, partition)| {
                GroupOffset {
                    topic,
                    partition: partition.partition_index,
                    offset: partition.committed_offset,
                    metadata: partition.metadata.map(|text| text.to_string()).unwrap_or_default(),
                }
            });
        Ok(committed.collect())
    }

    /// The members of a classic consumer group. Empty for a group that does not exist.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn group_members(&self, group: &str) -> Result<Vec<GroupMember>, Error> {
        let request = DescribeGroupsRequest::default().with_groups(vec![id(group)]);
        let response = self.ask_coordinator(group, &request).await?;
        let members = response.groups.into_iter().flat_map(|group| group.members);
        Ok(members
            .map(|member| GroupMember {
                client_id: member.client_id.to_string(),
                host: member.client_host.to_string(),
                topics: subscription(&member.member_metadata).unwrap_or_default(),
            })
            .collect())
    }

    /// A read that only the group's coordinator can answer. It may move while it is asked, so it is looked for twice.
    async fn ask_coordinator<Q: Call>(&self, group: &str, request: &Q) -> Result<Q::Response, Error> {
        match self.read(self.coordinator(group).await?, request).await {
            Err(error) if error.code() == Some(ErrorCode(NOT_COORDINATOR)) => {
                self.read(self.coordinator(group).await?, request).await
            }
            other => other,
        }
    }

    async fn coordinator(&self, group: &str) -> Result<Target, Error> {
        let request = FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned()));
        let response = self.read(Target::Any, &request).await?;
        Ok(Target::Broker(response.node_id.0))
    }
}

fn id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

/// The topics of a member's subscription (`ConsumerProtocolSubscription`: version, then an array of strings in every
/// version). `None` for a member that is no consumer.
fn subscription(metadata: &[u8]) -> Option<Vec<String>> {
    let (_version, rest) = metadata.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut topics = Vec::new();
    for _ in 0..i32::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (name, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        topics.push(String::from_utf8(name.to_vec()).ok()?);
        rest = after;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_names_its_topics() {
        let metadata = b"\x00\x01\x00\x00\x00\x02\x00\x01a\x00\x02bc\xff\xff\xff\xff";
        assert_eq!(subscription(metadata), Some(vec!["a".to_owned(), "bc".to_owned()]));
    }

    #[test]
    fn what_is_no_subscription_is_none() {
        for metadata in [
            &b""[..],
            b"\x00\x01\x00",
            b"\x00\x01\x7f\xff\xff\xff\x00\x01a",
            b"\x00\x01\x00\x00\x00\x01\x00\x05a",
        ] {
            assert_eq!(subscription(metadata), None);
        }
    }
}
