//! How to reach the server and as whom.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::error::Error;
use super::retry::Retries;

/// A text that `Debug` does not show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret that is at hand already.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads a secret from a file, without the line end that editors leave.
    ///
    /// # Errors
    /// When the file cannot be read or is empty.
    pub fn from_file(what: &'static str, path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File {
            what,
            path: path.display().to_string(),
            source,
        })?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(Error::Options(format!("{what} file {} is empty", path.display())));
        }
        Ok(Self(text.to_owned()))
    }

    fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody in particular.
    #[default]
    None,
    /// HTTP basic authentication.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// `Authorization: Bearer …`
    Bearer(Secret),
}

/// Everything about a connection. Build with [`Options::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Base address, path prefix included: `http://127.0.0.1:9090`, `https://mimir/prometheus`. A user name and a
    /// password in it are taken out and used for basic authentication.
    pub url: String,
    /// Credentials.
    pub auth: Auth,
    /// Tenant of a multi-tenant server, sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, Secret)>,
    /// PEM file of the certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Limit for one attempt, from connecting to the last byte.
    pub timeout: Duration,
    /// Limit for connecting.
    pub connect_timeout: Duration,
    /// Limit for the body of an answer, in bytes.
    pub max_bytes: usize,
    /// What to do about transient failures.
    pub retries: Retries,
    /// `User-Agent`.
    pub user_agent: String,
}

impl Options {
    /// Defaults: no credentials, 30 s for an answer, 5 s to connect, 64 MiB, three further attempts.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: Auth::None,
            tenant: None,
            headers: Vec::new(),
            ca_file: None,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            max_bytes: 64 << 20,
            retries: Retries::default(),
            user_agent: concat!("backstop/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// The base address without credentials, query and trailing slash, and the credentials found in it.
    pub(super) fn base(&self) -> Result<(reqwest::Url, Option<Auth>), Error> {
        let bad = |why: &str| Error::Options(format!("the address of Prometheus is not usable: {why}"));
        let mut url = reqwest::Url::parse(&self.url).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("write http://host:port or https://host:port"));
        }
        let auth = (!url.username().is_empty() || url.password().is_some()).then(|| Auth::Basic {
            user: decoded(url.username()),
            password: Secret(decoded(url.password().unwrap_or_default())),
        });
        url.set_username("")
            .and_then(|()| url.set_password(None))
            .map_err(|()| bad("it cannot hold a user"))?;
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok((url, auth))
    }

    pub(super) fn header_map(&self, from_url: Option<Auth>) -> Result<HeaderMap, Error> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let header = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Error::Options(format!("\"{}\" is no header name", name.escape_debug())))?;
            map.append(header, sensitive(name, value.reveal().to_owned())?);
        }
        if let Some(tenant) = &self.tenant {
            map.insert("x-scope-orgid", sensitive("X-Scope-OrgID", tenant.clone())?);
        }
        let auth = match (&self.auth, from_url) {
            (Auth::None, Some(auth)) => auth,
            (Auth::None, None) => return Ok(map),
            (given, _) => given.clone(),
        };
        let value = match auth {
            Auth::None => return Ok(map),
            Auth::Basic { user, password } => {
                if user.contains(':') {
                    return Err(Error::Options(
                        "a user name of basic authentication cannot hold a colon".to_owned(),
                    ));
                }
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal())))
            }
            Auth::Bearer(token) => format!("Bearer {}", token.reveal()),
        };
        map.insert(AUTHORIZATION, sensitive("Authorization", value)?);
        Ok(map)
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn sensitive(name: &str, value: String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        Error::Options(format!("the value of header {name} holds characters that HTTP forbids"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_address() {
        let options = Options::new("https://bob:p%40ss%3A@mimir.example/prometheus/?x=1");
        let (url, auth) = options.base().unwrap();
        assert_eq!(url.as_str(), "https://mimir.example/prometheus");
        assert_eq!(auth, Some(Auth::Basic { user: "bob".into(), password: Secret::new("p@ss:") }));
        let map = options.header_map(auth).unwrap();
        assert_eq!(map.get(AUTHORIZATION).unwrap().to_str().unwrap(), "Basic Ym9iOnBAc3M6");
        assert!(!format!("{map:?}").contains("Ym9"));
    }

    #[test]
    fn what_is_no_address_is_said_so() {
        for bad in ["", "localhost:9090", "ftp://host", "http://", "/etc/passwd"] {
            assert!(matches!(Options::new(bad).base(), Err(Error::Options(_))), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let mut options = Options::new("http://h");
        options.auth = Auth::Bearer(Secret::new("hunter2"));
        options.headers.push(("X-Key".into(), Secret::new("hunter3")));
        let shown = format!("{options:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        options.headers.push(("X-Bad".into(), Secret::new("hunter4\n")));
        let error = options.header_map(None).unwrap_err().to_string();
        assert!(error.contains("X-Bad") && !error.contains("hunter"), "{error}");
    }
}
