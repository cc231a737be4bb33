//! Who may change something.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hyper::StatusCode;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Response;

/// A token is a line, not a book.
const MAX_BYTES: u64 = 4 << 10;

/// The file with the token. It is read for each mutating request, so that a new token counts at once.
#[derive(Debug)]
pub(super) struct Token {
    file: Option<PathBuf>,
}

impl Token {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Passes a request that bears the token.
    pub(super) async fn check(&self, header: Option<&HeaderValue>) -> Result<(), Response> {
        let Some(file) = self.file.clone() else {
            let text = "requests that change something are refused: no token file is configured";
            return Err(Response::text(StatusCode::FORBIDDEN, text));
        };
        let given = header.and_then(bearer).map(digest);
        let read = tokio::task::spawn_blocking(move || read(&file).map_err(|error| (file, error))).await;
        match read {
            Ok(Ok(token)) if given.is_some_and(|given| given.ct_eq(&token).into()) => Ok(()),
            Ok(Ok(_)) => {
                tracing::warn!(token = given.is_some(), "refused a request that would change something");
                Err(Response::text(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong")
                    .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Ok(Err((file, error))) => {
                tracing::error!(file = %file.display(), %error, "cannot read the token file");
                Err(Response::text(StatusCode::SERVICE_UNAVAILABLE, "the token file cannot be read"))
            }
            Err(_) => Err(Response::text(StatusCode::SERVICE_UNAVAILABLE, "shutting down")),
        }
    }
}

fn bearer(header: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = header.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

/// Tokens are compared by digest: that takes as long for a long one as for a short one.
fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn read(file: &Path) -> io::Result<[u8; 32]> {
    let mut token = Vec::new();
    File::open(file)?.take(MAX_BYTES + 1).read_to_end(&mut token)?;
    if token.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("larger than 4 KiB"));
    }
    match token.trim_ascii() {
        [] => Err(io::Error::other("empty")),
        token => Ok(digest(token)),
    }
}
