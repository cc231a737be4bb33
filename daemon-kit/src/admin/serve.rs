//! Connections and requests within their limits.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::auth::Token;
use super::route::{Found, Routes};
use super::stall::Stall;
use super::{Limits, Request, Response};
use crate::tasks::Tasks;

/// When the process has no descriptor left, the next one may take a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The smallest that hyper takes.
const MIN_BUFFER: usize = 8 << 10;

pub(super) struct Service {
    routes: Routes,
    token: Token,
    limits: Limits,
}

/// Takes connections until it is cancelled.
pub(super) async fn accept(
    listener: TcpListener,
    service: Arc<Service>,
    tasks: Tasks,
    cancel: CancellationToken,
) {
    let free = Arc::new(Semaphore::new(service.limits.connections.max(1)));
    loop {
        let next = async {
            let permit = Arc::clone(&free).acquire_owned().await;
            (permit, accept_one(&listener).await)
        };
        let (permit, stream) = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            next = next => next,
        };
        let service = Arc::clone(&service);
        tasks.spawn("admin connection", |cancel| async move {
            serve(stream, service, cancel).await;
            drop(permit);
        });
    }
}

async fn accept_one(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The peer went away while it waited in the queue.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, service: Arc<Service>, cancel: CancellationToken) {
    let limits = service.limits;
    let io = TokioIo::new(Stall::new(stream, limits.stall_time));
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(MIN_BUFFER))
        .serve_connection(io, answer);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an admin connection broke off");
    }
}

impl Service {
    pub(super) fn new(routes: Routes, token: Token, limits: Limits) -> Self {
        Self { routes, token, limits }
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.handle(request).await.unwrap_or_else(|refusal| refusal);
        tracing::debug!(%method, path, status = response.status.as_u16(), "admin request");
        response.into_http()
    }

    async fn handle(&self, request: hyper::Request<Incoming>) -> Result<Response, Response> {
        let handler = match self.routes.find(request.method(), request.uri().path()) {
            Found::Handler(handler) => handler,
            Found::Methods(allowed) => return Err(Response::not_allowed(&allowed)),
            Found::Nobody => return Err(Response::not_found()),
        };
        let (head, body) = request.into_parts();
        let reads = matches!(head.method, Method::GET | Method::HEAD);
        if !reads {
            self.token.check(head.headers.get(AUTHORIZATION)).await?;
        }
        let request = Request {
            method: if reads { Method::GET } else { head.method },
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            body: self.body(body).await?,
        };
        timeout(self.limits.request_time, handler.handle(request))
            .await
            .map_err(|_| Response::text(StatusCode::SERVICE_UNAVAILABLE, "no answer within the time limit"))
    }

    async fn body(&self, body: Incoming) -> Result<Bytes, Response> {
        let limit = self.limits.body_bytes;
        let too_large = || {
            Response::text(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
        };
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large());
        }
        match timeout(self.limits.request_time, Limited::new(body, limit).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(Response::text(StatusCode::BAD_REQUEST, "the body broke off")),
            Err(_) => Err(Response::text(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
        }
    }
}
