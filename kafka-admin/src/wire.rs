//! Frames: a length and that many bytes. Requests go in, answers come out.

pub(crate) mod shape;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::ErrorCode;
use shape::Shape;

/// How long an answer may be. The unpaged ones have about 100 bytes per quota or partition.
pub(crate) const MAX_FRAME: usize = 64 << 20;
/// The same before the broker has been authenticated.
pub(crate) const MAX_HANDSHAKE_FRAME: usize = 512 << 10;
/// Length field, then at least the correlation id.
const LENGTH: usize = 4;

/// One request of the protocol with its answer.
pub(crate) trait Call: Encodable + HeaderVersion {
    /// The answer.
    type Response: Decodable + HeaderVersion;
    /// Its number in the protocol.
    const KEY: ApiKey;
    /// Least and greatest version in use.
    const VERSIONS: (i16, i16);
    /// What the answer looks like in these versions.
    const SHAPE: Shape;

    /// The error of the answer as a whole, if it has one.
    fn refusal(_response: &Self::Response) -> Option<Refusal> {
        None
    }

    /// For people.
    fn name() -> String {
        format!("{:?}", Self::KEY)
    }
}

/// Kafka's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
}

impl Refusal {
    /// `None` for code 0.
    pub(crate) fn new(code: i16, message: Option<&StrBytes>) -> Option<Self> {
        (code != 0).then(|| Self { code: ErrorCode(code), message: message.map(|text| text.to_string()) })
    }
}

/// A frame that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame has a length of {0}")]
    Short(i32),
    #[error("a frame announces {length} bytes, more than {limit}")]
    Long { length: usize, limit: usize },
}

/// Takes one whole frame from the front of the buffer, without its length; `None` while it is incomplete.
pub(crate) fn split(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(length) = buffer.first_chunk::<LENGTH>() else { return Ok(None) };
    let announced = i32::from_be_bytes(*length);
    let length = usize::try_from(announced).map_err(|_| FrameError::Short(announced))?;
    if length < LENGTH {
        return Err(FrameError::Short(announced));
    }
    if length > limit {
        return Err(FrameError::Long { length, limit });
    }
    if buffer.len() - LENGTH < length {
        return Ok(None);
    }
    buffer.advance(LENGTH);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// Why no further frame comes.
#[derive(Debug)]
pub(crate) enum ReadError {
    Closed,
    Io(std::io::Error),
    Frame(FrameError),
}

/// Frames from a stream. Memory grows with what has arrived, never with what was announced.
pub(crate) struct Frames<R> {
    reader: R,
    buffer: BytesMut,
    pub(crate) limit: usize,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self { reader, buffer: BytesMut::new(), limit }
    }

    pub(crate) async fn next(&mut self) -> Result<Bytes, ReadError> {
        loop {
            if let Some(frame) = split(&mut self.buffer, self.limit).map_err(ReadError::Frame)? {
                return Ok(frame);
            }
            self.buffer.reserve(8 << 10);
            if self.reader.read_buf(&mut self.buffer).await.map_err(ReadError::Io)? == 0 {
                return Err(ReadError::Closed);
            }
        }
    }
}

/// The frame of a request, with its length.
pub(crate) fn encode<Q: Call>(
    request: &Q,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Result<Bytes, String> {
    let header = RequestHeader::default()
        .with_request_api_key(Q::KEY as i16)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let mut buffer = BytesMut::new();
    buffer.put_i32(0);
    header.encode(&mut buffer, Q::header_version(version)).map_err(|error| error.to_string())?;
    request.encode(&mut buffer, version).map_err(|error| error.to_string())?;
    let length = i32::try_from(buffer.len() - LENGTH).map_err(|_| "it is larger than 2 GiB".to_owned())?;
    if let Some(start) = buffer.first_chunk_mut::<LENGTH>() {
        *start = length.to_be_bytes();
    }
    Ok(buffer.freeze())
}

/// The correlation id of a frame.
pub(crate) fn correlation_id(frame: &[u8]) -> Option<i32> {
    frame.first_chunk().map(|id| i32::from_be_bytes(*id))
}

/// The answer in a frame.
///
/// The codec reserves memory for as many elements as an array announces, so the shape is checked before it sees a byte.
pub(crate) fn decode<Q: Call>(mut frame: Bytes, version: i16) -> Result<Q::Response, String> {
    let header = Q::Response::header_version(version);
    shape::check(&frame, header >= 1, &Q::SHAPE, version)?;
    ResponseHeader::decode(&mut frame, header).map_err(|error| error.to_string())?;
    let response = Q::Response::decode(&mut frame, version).map_err(|error| error.to_string())?;
    match frame.len() {
        0 => Ok(response),
        left => Err(format!("{left} bytes follow its end")),
    }
}

#[cfg(test)]
mod tests;
