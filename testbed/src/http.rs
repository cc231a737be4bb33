//! The little HTTP that the bed needs: a JSON client for one server, and a server around one function.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// No call of the bed takes longer.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// Largest request that our own servers read.
const BODY_LIMIT: usize = 8 << 20;

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
    base: String,
}

impl Client {
    /// A client of the server at `address`.
    ///
    /// # Errors
    /// When the TLS library cannot be initialised.
    pub fn new(address: SocketAddr) -> Result<Self> {
        // A proxy from the environment knows nothing of our loopback.
        let inner =
            reqwest::Client::builder().no_proxy().timeout(CALL_LIMIT).build().context("build a client")?;
        Ok(Self { inner, base: format!("http://{address}") })
    }

    /// Whether `GET path` answers with success.
    pub async fn is_ok(&self, path: &str) -> bool {
        let answer = self.inner.get(format!("{}{path}", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// `GET path` with query parameters, as JSON.
    ///
    /// # Errors
    /// When the call fails or the answer is no JSON; an error answer's body is in the message.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let request = self.inner.get(format!("{}{path}", self.base)).query(query);
        json(request.send().await, path).await
    }

    /// `POST path` with a JSON body; an empty answer is `null`.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.inner.post(format!("{}{path}", self.base)).json(body);
        json(request.send().await, path).await
    }
}

async fn json(answer: reqwest::Result<reqwest::Response>, path: &str) -> Result<Value> {
    let answer = answer.with_context(|| format!("call {path}"))?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("read the answer of {path}"))?;
    if !status.is_success() {
        bail!("{path} answered {status}: {text}");
    }
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{path} answered no JSON: {text}"))
}

/// What a handler gets to see.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path without query.
    pub path: String,
    /// Body.
    pub body: Bytes,
}

/// What a handler answers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

impl Reply {
    /// Plain text.
    #[must_use]
    pub fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// Prometheus' text format.
    #[must_use]
    pub fn metrics(body: String) -> Self {
        Self { status: StatusCode::OK, content_type: "text/plain; version=0.0.4; charset=utf-8", body }
    }

    /// JSON.
    #[must_use]
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self { status, content_type: "application/json", body: format!("{body}\n") }
    }
}

/// A server around one function. Dropping it closes it.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl HttpServer {
    /// Listens on a free loopback port and answers every call with `handler`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(handler: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.context("listen")?;
        let address = listener.local_addr()?;
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::new(handler)));
        Ok(Self { address, _accepting: accepting })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept<H>(listener: TcpListener, handler: Arc<H>)
where
    H: Fn(&Call) -> Reply + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: give the others time to close some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let handler = Arc::clone(&handler);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&handler)));
            // A broken connection is the client's problem; it will call again.
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

async fn answer<H>(request: Request<Incoming>, handler: Arc<H>) -> Result<Response<Full<Bytes>>, Infallible>
where
    H: Fn(&Call) -> Reply,
{
    let (head, body) = request.into_parts();
    let reply = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => {
            handler(&Call { method: head.method, path: head.uri.path().to_owned(), body: body.to_bytes() })
        }
        Err(error) => Reply::text(StatusCode::BAD_REQUEST, format!("cannot read the body: {error}\n")),
    };
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(reply.content_type));
    Ok(response)
}
