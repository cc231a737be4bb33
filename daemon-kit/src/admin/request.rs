use bytes::Bytes;
use hyper::Method;
use percent_encoding::percent_decode_str;

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
}

impl Request {
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
}

/// Decodes a piece of a query, where a blank may be a plus.
fn form(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_decoded_once() {
        let request = Request {
            method: Method::GET,
            path: "/x".into(),
            query: "a=1+2&b=%2B%2525&flag&a=2&&=".into(),
            body: Bytes::new(),
        };
        let pairs: Vec<_> = request.pairs().collect();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "1 2"), ("b", "+%25"), ("flag", ""), ("a", "2"), ("", "")]);
        assert_eq!((request.value("a").as_deref(), request.value("c")), (Some("1 2"), None));
    }
}
