//! What the fuzz targets call. No part of the interface.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    AlterClientQuotasRequest, ApiVersionsRequest, DescribeClientQuotasRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeGroupsRequest, FindCoordinatorRequest, MetadataRequest,
    OffsetFetchRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};

use crate::sasl::scram::{Hash, Start};
use crate::wire::{self, Call};

/// A stream in two pieces.
pub fn frames(bytes: &[u8]) {
    const LIMIT: usize = 256;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut buffer = BytesMut::new();
    let mut taken = 0;
    for piece in [first, second] {
        buffer.extend_from_slice(piece);
        while let Ok(Some(frame)) = wire::split(&mut buffer, LIMIT) {
            assert!(frame.len() <= LIMIT);
            taken += frame.len() + 4;
        }
    }
    assert_eq!(taken + buffer.len(), bytes.len());
}

/// The first byte says which request in which version the rest answers.
pub fn answer(bytes: &[u8]) {
    let Some((choice, frame)) = bytes.split_first() else { return };
    let (call, version) = (choice % 11, i16::from(choice / 11));
    let frame = Bytes::copy_from_slice(frame);
    match call {
        0 => one::<DescribeClientQuotasRequest>(frame, version),
        1 => one::<AlterClientQuotasRequest>(frame, version),
        2 => one::<DescribeConfigsRequest>(frame, version),
        3 => one::<DescribeClusterRequest>(frame, version),
        4 => one::<MetadataRequest>(frame, version),
        5 => one::<ApiVersionsRequest>(frame, version),
        6 => one::<SaslHandshakeRequest>(frame, version),
        7 => one::<FindCoordinatorRequest>(frame, version),
        8 => one::<OffsetFetchRequest>(frame, version),
        9 => one::<DescribeGroupsRequest>(frame, version),
        _ => one::<SaslAuthenticateRequest>(frame, version),
    }
}

/// Once the shape is right, the codec must find every byte that it looks for.
fn one<Q: Call>(frame: Bytes, version: i16) {
    let (least, most) = Q::VERSIONS;
    let version = least + version % (most - least + 1);
    if let Err(error) = wire::decode::<Q>(frame, version) {
        assert!(!error.contains("Not enough bytes"), "{error}");
    }
}

/// A challenge and a last message.
pub fn scram(challenge: &[u8], last: &[u8]) {
    let start = Start::new(Hash::Sha256, "user", "n");
    if let Ok(proved) = start.prove(challenge, "pencil") {
        assert!(proved.verify(last).is_err());
    }
}
