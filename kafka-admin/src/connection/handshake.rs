//! From nothing to a connection on which requests are welcome: TCP, TLS, ApiVersions, SASL.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kafka_protocol::messages::{ApiVersionsRequest, SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::calls::api_versions::{self, ApiVersions};
use crate::config::{Config, Mechanism, Sasl};
use crate::error::{Endpoint, Error, ErrorCode, Outcome};
use crate::sasl::scram::{Hash, Start};
use crate::sasl::{self};
use crate::tls;
use crate::wire::{self, Call, Frames, MAX_HANDSHAKE_FRAME, ReadError};

/// TCP, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Reader = ReadHalf<Box<dyn Stream>>;
type Writer = WriteHalf<Box<dyn Stream>>;

/// What a greeting ends with.
pub(super) struct Greeted {
    pub(super) frames: Frames<Reader>,
    pub(super) writer: Writer,
    pub(super) versions: ApiVersions,
    pub(super) expires: Option<Instant>,
}

pub(super) async fn greet(config: &Config, endpoint: &Endpoint) -> Result<Greeted, Error> {
    let (reader, writer) = tokio::io::split(stream(config, endpoint).await?);
    let frames = Frames::new(reader, MAX_HANDSHAKE_FRAME);
    let mut talk = Talk { frames, writer, endpoint, client_id: &config.client_id, next: 0 };
    let versions = versions(&mut talk).await?;
    let lifetime = match &config.sasl {
        Some(sasl) => authenticate(&mut talk, &versions, sasl).await?,
        None => None,
    };
    // Well before the broker closes the connection under a request.
    let expires = lifetime.map(|lifetime| Instant::now() + lifetime.mul_f64(0.7 + 0.2 * fastrand::f64()));
    Ok(Greeted { frames: talk.frames, writer: talk.writer, versions, expires })
}

async fn stream(config: &Config, endpoint: &Endpoint) -> Result<Box<dyn Stream>, Error> {
    let unreachable = |source| Error::Unreachable { endpoint: endpoint.clone(), source: Arc::new(source) };
    let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await.map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    let Some(tls) = &config.tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(endpoint.host.clone())
        .map_err(|error| Error::Tls { endpoint: endpoint.clone(), reason: error.to_string() })?;
    let encrypted = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
    encrypted
        .map(|stream| Box::new(stream) as Box<dyn Stream>)
        .map_err(|error| tls_error(endpoint, &error).unwrap_or_else(|| unreachable(error)))
}

/// rustls hides its errors in those of the stream.
fn tls_error(endpoint: &Endpoint, error: &io::Error) -> Option<Error> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(Error::Tls { endpoint: endpoint.clone(), reason: inner.to_string() })
}

/// Question and answer, one at a time. Nothing here has an effect on the cluster, so all failures are of [`Outcome::NotSent`].
struct Talk<'a> {
    frames: Frames<Reader>,
    writer: Writer,
    endpoint: &'a Endpoint,
    client_id: &'a str,
    next: i32,
}

impl Talk<'_> {
    /// The answer's frame.
    async fn ask<Q: Call>(&mut self, request: &Q, version: i16) -> Result<bytes::Bytes, Error> {
        let id = self.next;
        self.next += 1;
        let frame = wire::encode(request, version, id, self.client_id)
            .map_err(|reason| Error::Request { request: Q::name(), reason })?;
        let written = async {
            self.writer.write_all(&frame).await?;
            self.writer.flush().await
        };
        written.await.map_err(|error| self.broken::<Q>(&error))?;
        let answer = self.frames.next().await.map_err(|error| match error {
            ReadError::Io(error) => self.broken::<Q>(&error),
            ReadError::Frame(error) => self.malformed::<Q>(error.to_string()),
            ReadError::Closed => {
                let hint = "it was closed by the other side; is security.protocol the one of this port?";
                self.interrupted::<Q>(hint.to_owned())
            }
        })?;
        match wire::correlation_id(&answer) {
            Some(answered) if answered == id => Ok(answer),
            _ => Err(self.malformed::<Q>(format!("it does not answer request {id}"))),
        }
    }

    async fn exchange<Q: Call>(&mut self, request: &Q, version: i16) -> Result<Q::Response, Error> {
        let answer = self.ask(request, version).await?;
        wire::decode::<Q>(answer, version).map_err(|reason| self.malformed::<Q>(reason))
    }

    fn malformed<Q: Call>(&self, reason: String) -> Error {
        let (request, endpoint) = (Q::name(), self.endpoint.clone());
        Error::Malformed { request, endpoint, reason, outcome: Outcome::NotSent }
    }

    fn broken<Q: Call>(&self, error: &io::Error) -> Error {
        tls_error(self.endpoint, error).unwrap_or_else(|| self.interrupted::<Q>(error.to_string()))
    }

    fn interrupted<Q: Call>(&self, reason: String) -> Error {
        let (request, endpoint) = (Q::name(), self.endpoint.clone());
        Error::Interrupted { request, endpoint, reason, outcome: Outcome::NotSent }
    }
}

/// Version 3 first; a broker that does not know it answers in version 0 with what it knows.
async fn versions(talk: &mut Talk<'_>) -> Result<ApiVersions, Error> {
    let request = api_versions::request();
    let answer = talk.ask(&request, ApiVersionsRequest::VERSIONS.1).await?;
    let code = answer.get(4..6).and_then(|code| code.first_chunk()).map(|code| i16::from_be_bytes(*code));
    let response = match code {
        Some(ErrorCode::UNSUPPORTED_VERSION) => {
            talk.exchange(&ApiVersionsRequest::default(), ApiVersionsRequest::VERSIONS.0).await?
        }
        _ => wire::decode::<ApiVersionsRequest>(answer, ApiVersionsRequest::VERSIONS.1)
            .map_err(|reason| talk.malformed::<ApiVersionsRequest>(reason))?,
    };
    match ApiVersionsRequest::refusal(&response) {
        None => Ok(ApiVersions::new(&response)),
        Some(refusal) => Err(Error::Kafka {
            request: ApiVersionsRequest::name(),
            endpoint: talk.endpoint.clone(),
            code: refusal.code,
            message: refusal.message,
        }),
    }
}

/// How long the broker accepts it, if not for ever.
async fn authenticate(
    talk: &mut Talk<'_>,
    versions: &ApiVersions,
    sasl: &Sasl,
) -> Result<Option<Duration>, Error> {
    let mechanism = sasl.mechanism.name();
    let endpoint = talk.endpoint;
    let refused = |message: String| Error::Authentication { endpoint: endpoint.clone(), mechanism, message };
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let version = versions.pick::<SaslHandshakeRequest>(endpoint)?;
    let response = talk.exchange(&request, version).await?;
    if response.error_code != 0 {
        let offered: Vec<&str> = response.mechanisms.iter().map(|name| &**name).collect();
        let code = ErrorCode(response.error_code);
        return Err(refused(format!("{code}; it offers {}", offered.join(", "))));
    }
    let version = versions.pick::<SaslAuthenticateRequest>(endpoint)?;
    let lifetime = match sasl.mechanism {
        Mechanism::Plain => token(talk, version, mechanism, sasl::plain(sasl)).await?.1,
        Mechanism::ScramSha256 => scram(talk, version, sasl, Hash::Sha256).await?,
        Mechanism::ScramSha512 => scram(talk, version, sasl, Hash::Sha512).await?,
    };
    Ok(u64::try_from(lifetime).ok().filter(|millis| *millis > 0).map(Duration::from_millis))
}

async fn scram(talk: &mut Talk<'_>, version: i16, sasl: &Sasl, hash: Hash) -> Result<i64, Error> {
    let mechanism = sasl.mechanism.name();
    let endpoint = talk.endpoint;
    let refused = |message: String| Error::Authentication { endpoint: endpoint.clone(), mechanism, message };
    let start = Start::new(hash, &sasl.username, &nonce().map_err(refused)?);
    let (challenge, _) = token(talk, version, mechanism, start.message().into_bytes()).await?;
    let proved =
        start.prove(&challenge, sasl.password.expose()).map_err(|error| refused(error.to_string()))?;
    let (last, lifetime) = token(talk, version, mechanism, proved.message().as_bytes().to_vec()).await?;
    proved.verify(&last).map_err(|error| refused(error.to_string()))?;
    Ok(lifetime)
}

/// Sends one SASL message; the server's own, and the session's lifetime in milliseconds.
async fn token(
    talk: &mut Talk<'_>,
    version: i16,
    mechanism: &'static str,
    message: Vec<u8>,
) -> Result<(bytes::Bytes, i64), Error> {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
    let response = talk.exchange(&request, version).await?;
    if response.error_code == 0 {
        return Ok((response.auth_bytes, response.session_lifetime_ms));
    }
    let endpoint = talk.endpoint.clone();
    let message = response.error_message.map(|text| text.to_string()).unwrap_or_default();
    let code = ErrorCode(response.error_code);
    Err(match code.0 {
        ErrorCode::SASL_AUTHENTICATION_FAILED => Error::Authentication { endpoint, mechanism, message },
        _ => Error::Authentication { endpoint, mechanism, message: format!("{code}: {message}") },
    })
}

/// 192 random bits in characters that SCRAM allows.
fn nonce() -> Result<String, String> {
    let mut bytes = [0; 24];
    let filled = tls::provider().secure_random.fill(&mut bytes);
    filled.map_err(|_| "no random numbers are to be had".to_owned())?;
    Ok(STANDARD_NO_PAD.encode(bytes))
}
