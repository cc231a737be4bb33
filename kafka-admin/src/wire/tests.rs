use kafka_protocol::messages::{
    AlterClientQuotasRequest, ApiVersionsRequest, DescribeClientQuotasRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeGroupsRequest, FindCoordinatorRequest, MetadataRequest,
    OffsetFetchRequest, SaslAuthenticateRequest, SaslHandshakeRequest, TopicName,
};
use kafka_protocol::messages::{
    FindCoordinatorResponse, alter_client_quotas_response as alter, api_versions_response as versions,
    describe_client_quotas_response as quotas, describe_cluster_response as cluster,
    describe_configs_response as configs, describe_groups_response as groups, metadata_response as metadata,
    offset_fetch_response as offsets, sasl_authenticate_response as authenticate,
    sasl_handshake_response as handshake,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn framed(payload: &[u8]) -> Vec<u8> {
    [&i32::try_from(payload.len()).unwrap().to_be_bytes(), payload].concat()
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut(
        payloads in vec(vec(any::<u8>(), 4..40), 0..9),
        size in 1_usize..50,
    ) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
        let mut buffer = BytesMut::new();
        let mut found = Vec::new();
        for piece in stream.chunks(size) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = split(&mut buffer, 64).unwrap() {
                found.push(frame.to_vec());
            }
        }
        prop_assert_eq!(found, payloads);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(bytes in vec(any::<u8>(), 0..300), limit in 4_usize..200) {
        let mut buffer = BytesMut::from(bytes.as_slice());
        while let Ok(Some(frame)) = split(&mut buffer, limit) {
            prop_assert!((LENGTH..=limit).contains(&frame.len()));
        }
    }
}

#[test]
fn lengths_that_cannot_be_are_errors_at_once() {
    let start = |length: i32| split(&mut BytesMut::from(&length.to_be_bytes()[..]), 100);
    assert_eq!(start(-1), Err(FrameError::Short(-1)));
    assert_eq!(start(i32::MIN), Err(FrameError::Short(i32::MIN)));
    assert_eq!(start(3), Err(FrameError::Short(3)));
    assert_eq!(start(100), Ok(None));
    assert_eq!(start(101), Err(FrameError::Long { length: 101, limit: 100 }));
    assert_eq!(start(i32::MAX), Err(FrameError::Long { length: 2_147_483_647, limit: 100 }));
}

#[tokio::test]
async fn memory_follows_what_arrives_and_not_what_is_announced() {
    let announced = i32::try_from(MAX_FRAME).unwrap().to_be_bytes();
    let stream = [announced.as_slice(), &[0; 1_000]].concat();
    let mut frames = Frames::new(stream.as_slice(), MAX_FRAME);
    assert!(matches!(frames.next().await, Err(ReadError::Closed)));
    assert!(frames.buffer.capacity() < 64 << 10, "{}", frames.buffer.capacity());
}

fn text() -> impl Strategy<Value = StrBytes> {
    "\\PC{0,6}".prop_map(StrBytes::from_string)
}

fn maybe() -> impl Strategy<Value = Option<StrBytes>> {
    proptest::option::of(text())
}

/// An answer as a broker would write it is accepted byte for byte, in every version; cut anywhere it is an error.
fn round_trip<Q: Call>(response: &Q::Response, cut: usize) -> Result<(), TestCaseError>
where
    Q::Response: Encodable + Clone + std::fmt::Debug,
{
    for version in Q::VERSIONS.0..=Q::VERSIONS.1 {
        let mut frame = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(7);
        header.encode(&mut frame, Q::Response::header_version(version)).unwrap();
        // Some fields may only be set from some version on.
        if response.encode(&mut frame, version).is_err() {
            prop_assert!(version < Q::VERSIONS.1, "the last version has every field");
            continue;
        }
        let frame = frame.freeze();
        prop_assert_eq!(correlation_id(&frame), Some(7));
        let decoded = decode::<Q>(frame.clone(), version);
        prop_assert!(decoded.is_ok(), "version {}: {:?}", version, decoded.err());
        let mut again = BytesMut::new();
        decoded.unwrap().encode(&mut again, version).unwrap();
        prop_assert!(frame.ends_with(&again));
        let shorter = frame.slice(..cut % frame.len());
        prop_assert!(decode::<Q>(shorter, version).is_err());
        let longer = [&frame[..], &[0]].concat();
        prop_assert!(decode::<Q>(longer.into(), version).is_err());
    }
    Ok(())
}

proptest! {
    #[test]
    fn quotas(cut in any::<usize>(), code in any::<i16>(), message in maybe(), names in vec((text(), maybe()), 0..4)) {
        let entity = names.iter().map(|(kind, name)| {
            quotas::EntityData::default().with_entity_type(kind.clone()).with_entity_name(name.clone())
        });
        let values = names.iter().map(|(key, _)| quotas::ValueData::default().with_key(key.clone()).with_value(1.5));
        let entry = quotas::EntryData::default().with_entity(entity.collect()).with_values(values.collect());
        let response = quotas::DescribeClientQuotasResponse::default()
            .with_error_code(code)
            .with_error_message(message.clone())
            .with_entries(message.is_none().then(|| vec![entry; 3]));
        round_trip::<DescribeClientQuotasRequest>(&response, cut)?;

        let entity = names.iter().map(|(kind, name)| {
            alter::EntityData::default().with_entity_type(kind.clone()).with_entity_name(name.clone())
        });
        let entry = alter::EntryData::default()
            .with_error_code(code)
            .with_error_message(message)
            .with_entity(entity.collect());
        let response = alter::AlterClientQuotasResponse::default().with_entries(vec![entry; 2]);
        round_trip::<AlterClientQuotasRequest>(&response, cut)?;
    }

    #[test]
    fn the_cluster(cut in any::<usize>(), host in text(), rack in maybe(), id in any::<i32>(), old in any::<bool>()) {
        let broker = cluster::DescribeClusterBroker::default()
            .with_broker_id(id.into())
            .with_host(host.clone())
            .with_rack(rack.clone())
            .with_is_fenced(!old);
        let response = cluster::DescribeClusterResponse::default().with_error_message(rack.clone()).with_brokers(vec![broker; 2]);
        round_trip::<DescribeClusterRequest>(&response, cut)?;

        let broker = metadata::MetadataResponseBroker::default().with_host(host.clone()).with_rack(rack);
        let partition = metadata::MetadataResponsePartition::default()
            .with_replica_nodes(vec![id.into(); 3])
            .with_offline_replicas(vec![id.into()]);
        let topic = metadata::MetadataResponseTopic::default()
            .with_name(Some(TopicName(host)))
            .with_partitions(vec![partition; 2]);
        let response = metadata::MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_topics(vec![topic; 2])
            .with_error_code(if old { 0 } else { 7 });
        round_trip::<MetadataRequest>(&response, cut)?;
    }

    #[test]
    fn configurations(cut in any::<usize>(), name in text(), value in maybe()) {
        let synonym = configs::DescribeConfigsSynonym::default().with_name(name.clone()).with_value(value.clone());
        let config = configs::DescribeConfigsResourceResult::default()
            .with_name(name.clone())
            .with_value(value.clone())
            .with_documentation(value.clone())
            .with_synonyms(vec![synonym; 2]);
        let result = configs::DescribeConfigsResult::default()
            .with_error_message(value)
            .with_resource_name(name)
            .with_configs(vec![config; 2]);
        let response = configs::DescribeConfigsResponse::default().with_results(vec![result]);
        round_trip::<DescribeConfigsRequest>(&response, cut)?;
    }

    #[test]
    fn greetings(cut in any::<usize>(), name in text(), bytes in vec(any::<u8>(), 0..20), old in any::<bool>()) {
        let api = versions::ApiVersion::default().with_api_key(48).with_max_version(1);
        let mut response = versions::ApiVersionsResponse::default().with_api_keys(vec![api; 3]);
        if !old {
            let supported = versions::SupportedFeatureKey::default().with_name(name.clone());
            let finalized = versions::FinalizedFeatureKey::default().with_name(name.clone());
            response = response
                .with_supported_features(vec![supported])
                .with_finalized_features(vec![finalized; 2])
                .with_finalized_features_epoch(3)
                .with_zk_migration_ready(true)
                .with_unknown_tagged_field(9, Bytes::from_static(b"later"));
        }
        round_trip::<ApiVersionsRequest>(&response, cut)?;

        let response = handshake::SaslHandshakeResponse::default().with_mechanisms(vec![name.clone(); 2]);
        round_trip::<SaslHandshakeRequest>(&response, cut)?;

        let response = authenticate::SaslAuthenticateResponse::default()
            .with_error_message(Some(name))
            .with_auth_bytes(bytes.into())
            .with_session_lifetime_ms(if old { 0 } else { 3_600_000 });
        round_trip::<SaslAuthenticateRequest>(&response, cut)?;
    }

    #[test]
    fn consumer_groups(cut in any::<usize>(), name in text(), instance in maybe(), bytes in vec(any::<u8>(), 0..9), old in any::<bool>()) {
        let response = FindCoordinatorResponse::default().with_host(name.clone()).with_error_message(instance.clone());
        round_trip::<FindCoordinatorRequest>(&response, cut)?;

        let partition = offsets::OffsetFetchResponsePartition::default().with_metadata(instance.clone());
        let topic = offsets::OffsetFetchResponseTopic::default()
            .with_name(TopicName(name.clone()))
            .with_partitions(vec![partition; 2]);
        let response = offsets::OffsetFetchResponse::default().with_topics(vec![topic; 2]);
        round_trip::<OffsetFetchRequest>(&response, cut)?;

        let member = groups::DescribedGroupMember::default()
            .with_member_id(name.clone())
            .with_group_instance_id(if old { None } else { instance })
            .with_member_metadata(bytes.clone().into())
            .with_member_assignment(bytes.into());
        let group = groups::DescribedGroup::default().with_group_state(name).with_members(vec![member; 2]);
        let response = groups::DescribeGroupsResponse::default().with_groups(vec![group; 2]);
        round_trip::<DescribeGroupsRequest>(&response, cut)?;
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(bytes in vec(any::<u8>(), 0..200), version in 0_i16..2) {
        let bytes = Bytes::from(bytes);
        decode::<DescribeClientQuotasRequest>(bytes.clone(), version).ok();
        decode::<AlterClientQuotasRequest>(bytes.clone(), version).ok();
        decode::<ApiVersionsRequest>(bytes, 3).ok();
    }
}

/// The codec would reserve hundreds of gigabytes for it.
#[test]
fn an_array_that_announces_two_billion_elements_is_an_error() {
    let mut frame = BytesMut::new();
    frame.put_i32(7);
    frame.put_i32(0);
    frame.put_i16(0);
    frame.put_i16(-1);
    frame.put_i32(i32::MAX);
    let error = decode::<DescribeClientQuotasRequest>(frame.freeze(), 0).unwrap_err();
    assert_eq!(error, "2147483647 elements are announced in 0 bytes");
    let flexible = [&[0, 0, 0, 7, 0][..], &[0, 0, 0, 0, 0, 0, 0], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    let error = decode::<DescribeClientQuotasRequest>(flexible.into(), 1).unwrap_err();
    assert_eq!(error, "4294967294 elements are announced in 0 bytes");
    let tags = [&[0, 0, 0, 7][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    assert!(decode::<DescribeClientQuotasRequest>(tags.into(), 1).is_err());
}

#[test]
fn a_request_has_its_length_and_its_header() {
    let frame = encode(&crate::calls::api_versions::request(), 3, 7, "me").unwrap();
    assert_eq!(
        &frame[..14],
        [
            &u8::try_from(frame.len() - 4).map(|length| [0, 0, 0, length]).unwrap()[..],
            &[0, 18, 0, 3, 0, 0, 0, 7, 0, 2]
        ]
        .concat()
    );
    assert_eq!(&frame[14..16], b"me");
}
