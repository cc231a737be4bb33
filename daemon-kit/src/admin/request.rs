use bytes::Bytes;
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::Response;

/// A request that passed the limits and, if it mutates, bears the token.
#[derive(Clone, Debug)]
pub struct Request {
    /// HEAD arrives as GET.
    pub method: Method,
    /// As sent, percent-encoded.
    pub path: String,
    /// What follows `?`, as sent; empty without one.
    pub query: String,
    /// The whole body.
    pub body: Bytes,
    pub(super) params: Vec<(&'static str, String)>,
}

impl Request {
    /// The decoded segment that stands for `{name}` in the route's pattern; empty for a name that is not in it.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str())
    }

    /// The decoded pairs of the query, in order. What is not UTF-8 is replaced.
    pub fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        self.query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form(name), form(value))
        })
    }

    /// The first value of that name in the query.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        self.pairs().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The body read from JSON.
    ///
    /// # Errors
    /// The answer that says what is wrong with it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Response> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Response::text(StatusCode::BAD_REQUEST, format!("the body is not what is expected: {error}"))
        })
    }
}

/// Decodes a piece of a query, where a blank may be a plus.
fn form(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Decodes a segment of a path; `None` if it is not UTF-8.
pub(super) fn segment(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str, body: &'static str) -> Request {
        Request {
            method: Method::GET,
            path: "/x".into(),
            query: query.into(),
            body: Bytes::from_static(body.as_bytes()),
            params: vec![("id", "a/b".into())],
        }
    }

    #[test]
    fn pieces_are_decoded_once() {
        let request = request("a=1+2&b=%2B%2525&flag&a=2&&=", "");
        let pairs: Vec<_> = request.pairs().collect();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "1 2"), ("b", "+%25"), ("flag", ""), ("a", "2"), ("", "")]);
        assert_eq!((request.value("a").as_deref(), request.value("c")), (Some("1 2"), None));
        assert_eq!((request.param("id"), request.param("other")), ("a/b", ""));
        assert_eq!((segment("a%2Fb").as_deref(), segment("%ff")), (Some("a/b"), None));
    }

    #[test]
    fn a_wrong_body_is_answered() {
        assert_eq!(request("", "[1]").json::<Vec<u8>>().unwrap(), [1]);
        assert_eq!(request("", "{").json::<Vec<u8>>().unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
