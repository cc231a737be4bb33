//! Kafka's requests that librdkafka does not offer, or not so: admin's over the listener without authentication, and those of
//! many client ids over one connection.
//!
//! Versions are fixed: the brokers are those that `pom.xml` names.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Buf as _, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No request takes longer.
const CALL_LIMIT: Duration = Duration::from_secs(90);
/// No answer of a test cluster is larger.
const ANSWER_LIMIT: usize = 64 << 20;

/// Sends one request over a connection of its own and reads the answer.
///
/// # Errors
/// When the broker cannot be reached, closes, or does not answer in time.
pub(crate) async fn call<Q, R>(broker: SocketAddr, key: ApiKey, version: i16, request: &Q) -> Result<R>
where
    Q: Encodable + HeaderVersion,
    R: Decodable + HeaderVersion,
{
    let exchange = async {
        let mut stream = TcpStream::connect(broker).await?;
        exchange(&mut stream, key, version, "testbed", request).await
    };
    let outcome = tokio::time::timeout(CALL_LIMIT, exchange).await.context("no answer in time");
    outcome.and_then(|answer| answer).with_context(|| format!("{key:?} at {broker}"))
}

/// Sends one request of a client id and reads the answer.
///
/// # Errors
/// When the broker closes, or its answer is not one.
pub(crate) async fn exchange<Q, R>(
    stream: &mut TcpStream,
    key: ApiKey,
    version: i16,
    client_id: &str,
    request: &Q,
) -> Result<R>
where
    Q: Encodable + HeaderVersion,
    R: Decodable + HeaderVersion,
{
    stream.write_all(&encode(key, version, client_id, request)?).await?;
    let length = usize::try_from(stream.read_i32().await?)?;
    if length > ANSWER_LIMIT {
        bail!("an answer of {length} bytes");
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    let mut answer = Bytes::from(answer);
    ResponseHeader::decode(&mut answer, R::header_version(version))?;
    let decoded = R::decode(&mut answer, version)?;
    if answer.has_remaining() {
        bail!("{} bytes too many in the answer", answer.remaining());
    }
    Ok(decoded)
}

fn encode<Q>(key: ApiKey, version: i16, client_id: &str, request: &Q) -> Result<BytesMut>
where
    Q: Encodable + HeaderVersion,
{
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(1)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let mut body = BytesMut::new();
    header.encode(&mut body, Q::header_version(version))?;
    request.encode(&mut body, version)?;
    let mut frame = BytesMut::with_capacity(body.len() + 4);
    frame.extend_from_slice(&i32::try_from(body.len())?.to_be_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// An error code of an answer, as an error.
///
/// # Errors
/// When the code is not zero.
pub(crate) fn check(what: &str, code: i16, message: Option<&StrBytes>) -> Result<()> {
    if code == 0 {
        return Ok(());
    }
    let name = kafka_protocol::ResponseError::try_from_code(code);
    bail!("{what}: {name:?} ({code}) {}", message.map_or("", StrBytes::as_str))
}
