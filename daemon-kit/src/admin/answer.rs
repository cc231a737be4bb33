use bytes::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, StatusCode};
use serde::Serialize;

/// An answer, complete in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// What the body is.
    pub content_type: &'static str,
    /// The body; for HEAD it is left out.
    pub body: Bytes,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Response {
    /// Any bytes.
    #[must_use]
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, body: body.into(), headers: Vec::new() }
    }

    /// Lines for people; a last line break is added.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    /// A value as JSON.
    #[must_use]
    pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(status, "application/json", body),
            Err(error) => {
                tracing::error!(%error, "an answer is no JSON");
                Self::text(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written as JSON")
            }
        }
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn not_found() -> Self {
        Self::text(StatusCode::NOT_FOUND, "no such path")
    }

    pub(super) fn not_allowed(allowed: &[Method]) -> Self {
        let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let response = Self::text(StatusCode::METHOD_NOT_ALLOWED, format!("allowed: {allowed}"));
        match HeaderValue::try_from(allowed) {
            Ok(value) => response.header(ALLOW, value),
            Err(_) => response,
        }
    }

    /// As hyper sends it. Nothing of it belongs into a cache or is to be guessed at.
    pub(super) fn into_http(self) -> hyper::Response<http_body_util::Full<Bytes>> {
        let mut response = hyper::Response::new(http_body_util::Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.extend(self.headers);
        response
    }
}
