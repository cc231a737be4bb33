//! The other end: what commands ask a running daemon.

use std::path::Path;
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::REQUEST_TIME;
use super::answer::Problem;
use super::order::Body;
use crate::engine::Ordered;

/// To find out that nobody is there.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// Talks to one daemon.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<Token>,
}

/// Never shown.
#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address or the token file is of no use.
    #[error("{0}")]
    Options(String),
    /// Nobody answers.
    #[error("cannot ask {base}")]
    Unreachable {
        /// Where.
        base: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The daemon says no.
    #[error("{}", .0.message)]
    Problem(Box<Problem>),
    /// Somebody else answers, or the listener itself says no.
    #[error("{base} answers {status}: {text}")]
    Status {
        /// Where.
        base: String,
        /// What.
        status: StatusCode,
        /// The beginning of the answer.
        text: String,
    },
    /// The answer is of another version.
    #[error("the answer of {base} is not understood")]
    Answer {
        /// Where.
        base: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl Client {
    /// Of a daemon's base address.
    ///
    /// # Errors
    /// The address is none.
    pub fn new(base: &str) -> Result<Self, Error> {
        let base = base.trim_end_matches('/').to_owned();
        if !(base.starts_with("http://") || base.starts_with("https://")) {
            return Err(Error::Options(format!("`{base}` is no address: write http://HOST:PORT")));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIME)
            .timeout(REQUEST_TIME + CONNECT_TIME)
            .build()
            .map_err(|source| Error::Unreachable { base: base.clone(), source })?;
        Ok(Self { http, base, token: None })
    }

    /// With the bearer token that orders need, from its file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn with_token(self, file: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Error::Options(format!("cannot read {}: {error}", file.display())))?;
        Ok(Self { token: Some(Token(text.trim_end_matches(['\r', '\n']).to_owned())), ..self })
    }

    /// The same with another daemon.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), ..self.clone() }
    }

    /// Where it asks.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether it may give orders.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// An answer to `GET /api/v1/<what>`.
    ///
    /// # Errors
    /// Nobody answers, or not with what is expected.
    pub async fn get<T: DeserializeOwned>(&self, what: &str, query: &[(&str, &str)]) -> Result<T, Error> {
        self.send(self.http.get(self.url(what)).query(query)).await
    }

    /// Gives an order. One that another process has to carry out goes there, once, if it says where that is.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub async fn order(&self, what: &str, body: &Body) -> Result<Ordered, Error> {
        match self.post(what, body).await {
            Err(Error::Problem(problem)) => match problem.elsewhere() {
                Some(base) if base.trim_end_matches('/') != self.base => self.at(base).post(what, body).await,
                _ => Err(Error::Problem(problem)),
            },
            other => other,
        }
    }

    async fn post<B: Serialize>(&self, what: &str, body: &B) -> Result<Ordered, Error> {
        let request = self.http.post(self.url(what)).json(body);
        self.send(match &self.token {
            Some(Token(token)) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    fn url(&self, what: &str) -> String {
        format!("{}/api/v1/{what}", self.base)
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let base = || self.base.clone();
        let unreachable = |source| Error::Unreachable { base: base(), source };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|source| Error::Answer { base: base(), source });
        }
        Err(match serde_json::from_slice(&body) {
            Ok(problem) => Error::Problem(Box::new(problem)),
            Err(_) => {
                let text = String::from_utf8_lossy(&body).trim().chars().take(200).collect();
                Error::Status { base: base(), status, text }
            }
        })
    }
}
