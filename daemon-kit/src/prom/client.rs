//! The calls.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, Response, StatusCode, Url};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::answer::{Answer, Labels, Series};
use super::decode::{Envelope, QueryData, Status, each_series};
use super::error::Error;
use super::options::Options;
use super::retry::Retries;

/// How much of an error's body is read: its message is at the start.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// A client of one server. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
    max_bytes: usize,
    retries: Retries,
}

type Form = Vec<(&'static str, String)>;

/// An error with what the server asked for about trying again.
struct Failure {
    error: Error,
    retry_after: Option<Duration>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None }
    }
}

impl Client {
    /// Checks the options and reads the files they name. No connection is made.
    ///
    /// # Errors
    /// [`Error::Options`] and [`Error::File`].
    pub fn new(options: Options) -> Result<Self, Error> {
        let (base, from_url) = options.base()?;
        let headers = options.header_map(from_url)?;
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(options.user_agent.as_str())
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            // A redirect would carry headers to a host that nobody named.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &options.ca_file {
            let shown = path.display().to_string();
            let pem = std::fs::read(path).map_err(|source| Error::File {
                what: "certificate authority",
                path: shown.clone(),
                source,
            })?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|found| !found.is_empty())
                .ok_or_else(|| Error::Options(format!("{shown} holds no PEM certificate")))?;
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder.build().map_err(|error| {
            Error::Options(format!("cannot set up the HTTP client: {}", error.without_url()))
        })?;
        let Options { timeout, max_bytes, retries, .. } = options;
        Ok(Self { http, base, timeout, max_bytes, retries })
    }

    /// The server's address without credentials.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Evaluates a query at one time (milliseconds since 1970; `None` is the server's now).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn instant(&self, query: &str, at_ms: Option<i64>) -> Result<Answer<Vec<Series>>, Error> {
        let form = self.instant_form(query, at_ms);
        self.series_of(self.call::<QueryData>(Method::POST, "query", &form).await?)
    }

    /// Evaluates a query at one time, as [`Client::instant`], and hands over each series as soon as it is read: for answers that
    /// are large. On an error, what was handed over is to be thrown away.
    ///
    /// # Errors
    /// See [`Error`]; a query that gives no series is [`Error::Malformed`].
    pub async fn instant_each(
        &self,
        query: &str,
        at_ms: Option<i64>,
        mut each: impl FnMut(Series) + Send,
    ) -> Result<Answer<()>, Error> {
        let form = self.instant_form(query, at_ms);
        self.call_with(Method::POST, "query", &form, |body| each_series(body, &mut each)).await
    }

    /// Evaluates a query at every step from start to end, both included (milliseconds since 1970).
    ///
    /// Prometheus gives at most 11,000 steps at a time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn range(
        &self,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Answer<Vec<Series>>, Error> {
        let form = vec![
            ("query", query.to_owned()),
            ("start", seconds(start_ms)),
            ("end", seconds(end_ms)),
            ("step", seconds(step_ms)),
            ("timeout", self.server_timeout()),
        ];
        self.series_of(self.call::<QueryData>(Method::POST, "query_range", &form).await?)
    }

    /// Label sets of the series that match any of the selectors and have samples in the time range.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn series(
        &self,
        selectors: &[&str],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Answer<Vec<Labels>>, Error> {
        let mut form = vec![("start", seconds(start_ms)), ("end", seconds(end_ms))];
        form.extend(selectors.iter().map(|selector| ("match[]", (*selector).to_owned())));
        self.call(Method::POST, "series", &form).await
    }

    /// Values of a label among the series that match the selector (all, if it is empty) in the time range.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn label_values(
        &self,
        label: &str,
        selector: &str,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Answer<Vec<String>>, Error> {
        let mut form = vec![("start", seconds(start_ms)), ("end", seconds(end_ms))];
        if !selector.is_empty() {
            form.push(("match[]", selector.to_owned()));
        }
        self.call(Method::GET, &format!("label/{label}/values"), &form).await
    }

    fn instant_form(&self, query: &str, at_ms: Option<i64>) -> Form {
        let mut form = vec![("query", query.to_owned()), ("timeout", self.server_timeout())];
        form.extend(at_ms.map(|at| ("time", seconds(at))));
        form
    }

    fn series_of(&self, answer: Answer<QueryData>) -> Result<Answer<Vec<Series>>, Error> {
        let value = answer.value.into_series().map_err(|why| self.malformed(why))?;
        Ok(Answer { value, warnings: answer.warnings })
    }

    /// The server need not go on after we have stopped waiting.
    fn server_timeout(&self) -> String {
        format!("{}ms", self.timeout.as_millis().max(1))
    }

    fn malformed(&self, reason: impl ToString) -> Error {
        Error::Malformed { url: self.url().to_owned(), reason: reason.to_string() }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        form: &Form,
    ) -> Result<Answer<T>, Error> {
        self.call_with(method, path, form, |body| serde_json::from_slice(body)).await
    }

    async fn call_with<T>(
        &self,
        method: Method,
        path: &str,
        form: &Form,
        mut decode: impl FnMut(&[u8]) -> Result<Envelope<T>, serde_json::Error>,
    ) -> Result<Answer<T>, Error> {
        let mut method = method;
        let mut attempt = 0;
        loop {
            let failure = match self.attempt(method.clone(), path, form, &mut decode).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let refused = matches!(failure.error, Error::Status { status: 405 | 501, .. });
            if refused && method == Method::POST {
                method = Method::GET;
                continue;
            }
            let pause = if failure.error.is_transient() {
                self.retries.pause(attempt, fastrand::f64(), failure.retry_after)
            } else {
                None
            };
            let Some(pause) = pause else { return Err(failure.error) };
            tracing::debug!(url = self.url(), path, attempt, error = %failure.error, "will try again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt<T>(
        &self,
        method: Method,
        path: &str,
        form: &Form,
        decode: &mut impl FnMut(&[u8]) -> Result<Envelope<T>, serde_json::Error>,
    ) -> Result<Answer<T>, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/api/v1/{path}", self.base.path().trim_end_matches('/')));
        let request = self.http.request(method.clone(), url);
        let request = if method == Method::POST { request.form(form) } else { request.query(form) };
        let mut response = request.send().await.map_err(|error| self.transport(error))?;
        let status = response.status();
        if !status.is_success() {
            let retry_after = retry_after(&response);
            let error = self.refusal(status, &mut response).await;
            return Err(Failure { error, retry_after });
        }
        let body = self.read(&mut response, self.max_bytes).await?;
        let envelope = decode(&body).map_err(|error| self.malformed(error))?;
        if envelope.status == Status::Error {
            return Err(self.api(status, envelope.error_type, envelope.error).into());
        }
        let value = envelope.data.ok_or_else(|| self.malformed("it holds no data"))?;
        let warnings = envelope.warnings.into_iter().chain(envelope.infos).flatten().collect();
        Ok(Answer { value, warnings })
    }

    async fn read(&self, response: &mut Response, limit: usize) -> Result<Vec<u8>, Error> {
        let too_large = || Error::TooLarge { url: self.url().to_owned(), limit };
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(error))? {
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn transport(&self, error: reqwest::Error) -> Error {
        let url = self.url().to_owned();
        // The query is in the address of a GET: of no use in an error, and long.
        let error = error.without_url();
        if error.is_connect() {
            Error::Unreachable { url, source: error }
        } else if error.is_timeout() {
            Error::Timeout { url, after: self.timeout }
        } else {
            Error::Interrupted { url, source: error }
        }
    }

    fn api(&self, status: StatusCode, kind: String, message: String) -> Error {
        let kind = if kind.is_empty() { "error".to_owned() } else { one_line(&kind) };
        Error::Api { url: self.url().to_owned(), status: status.as_u16(), kind, message: one_line(&message) }
    }

    async fn refusal(&self, status: StatusCode, response: &mut Response) -> Error {
        // The status is the news; a body that breaks off or is too long must not hide it.
        let body = self.read(response, MAX_ERROR_BYTES).await.unwrap_or_default();
        match serde_json::from_slice::<Envelope<IgnoredAny>>(&body) {
            Ok(envelope) if envelope.status == Status::Error => {
                self.api(status, envelope.error_type, envelope.error)
            }
            _ => Error::Status {
                url: self.url().to_owned(),
                status: status.as_u16(),
                excerpt: one_line(&String::from_utf8_lossy(&body)),
            },
        }
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Foreign text for a message: one line, short, nothing that moves a terminal's cursor.
fn one_line(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    let mut words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut line = words.next().unwrap_or_default().to_owned();
    for word in words {
        line.push(' ');
        line.push_str(word);
        if line.len() > 4 * MAX_CHARS {
            break;
        }
    }
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// Milliseconds as decimal seconds, exactly.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1_000, ms % 1_000)
}
