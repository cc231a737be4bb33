use std::pin::Pin;
use std::sync::Arc;

use hyper::Method;

use super::request::segment;
use super::{Request, Response};

/// An answer to come.
pub type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Answers the requests of a route.
///
/// It may be dropped at any await: when the caller goes away, or the time is over. What must not stop halfway belongs
/// into a task of its own, to which the handler hands it over.
pub trait Handler: Send + Sync + 'static {
    /// Answers one.
    fn handle(&self, request: Request) -> ResponseFuture;
}

impl<F, Fut> Handler for F
where
    F: Fn(Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    fn handle(&self, request: Request) -> ResponseFuture {
        Box::pin(self(request))
    }
}

/// Who answers what. Where two patterns match, the one added first counts.
///
/// ```
/// use daemon_kit::admin::{Request, Response, Routes, StatusCode};
///
/// let routes = Routes::new()
///     .get("/api/v1/items", |_| async { Response::json(StatusCode::OK, &["a", "b"]) })
///     .get("/api/v1/items/{name}", |request: Request| async move {
///         Response::text(StatusCode::OK, request.param("name"))
///     });
/// ```
#[derive(Clone, Default)]
pub struct Routes(Vec<Route>);

#[derive(Clone)]
struct Route {
    method: Method,
    pattern: &'static str,
    handler: Arc<dyn Handler>,
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|route| (&route.method, route.pattern))).finish()
    }
}

/// Who answers a request.
pub(super) enum Found {
    /// This one, with the parameters of its pattern.
    Handler(Arc<dyn Handler>, Vec<(&'static str, String)>),
    /// Nobody with that method, but others.
    Methods(Vec<Method>),
    /// Nobody.
    Nobody,
}

impl Routes {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers GET and HEAD. In the pattern, `{name}` stands for one whole segment.
    #[must_use]
    pub fn get(self, pattern: &'static str, handler: impl Handler) -> Self {
        self.route(Method::GET, pattern, handler)
    }

    /// Answers POST, for callers with the token.
    #[must_use]
    pub fn post(self, pattern: &'static str, handler: impl Handler) -> Self {
        self.route(Method::POST, pattern, handler)
    }

    /// Answers any other method; whatever is not GET needs the token.
    #[must_use]
    pub fn route(mut self, method: Method, pattern: &'static str, handler: impl Handler) -> Self {
        self.0.push(Route { method, pattern, handler: Arc::new(handler) });
        self
    }

    /// These, then those.
    #[must_use]
    pub fn then(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Method and pattern of each, as added.
    pub fn list(&self) -> impl Iterator<Item = (&Method, &'static str)> {
        self.0.iter().map(|route| (&route.method, route.pattern))
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let mut others = Vec::new();
        for route in &self.0 {
            match params(route.pattern, path) {
                Some(params) if route.method == *method => {
                    return Found::Handler(Arc::clone(&route.handler), params);
                }
                Some(_) => others.push(&route.method),
                None => {}
            }
        }
        if others.is_empty() {
            return Found::Nobody;
        }
        let mut allowed = Vec::new();
        for method in others {
            if *method == Method::GET {
                allowed.push(Method::HEAD);
            }
            allowed.push(method.clone());
        }
        allowed.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        allowed.dedup();
        Found::Methods(allowed)
    }
}

/// What stands for the names of a pattern, if the path is of its kind.
fn params(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut params = Vec::new();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(params),
            (Some(wanted), Some(given)) => {
                match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) if !given.is_empty() => params.push((name, segment(given)?)),
                    None if wanted == given => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn routes() -> Routes {
        let answer = |text: &'static str| move |_| async move { Response::text(StatusCode::OK, text) };
        Routes::new()
            .get("/a", answer("a"))
            .get("/a/special", answer("special"))
            .get("/a/{id}", answer("one"))
            .post("/a/{id}", answer("change"))
            .route(Method::DELETE, "/a/{id}/b/{other}", answer("delete"))
    }

    fn found(method: &Method, path: &str) -> String {
        match routes().find(method, path) {
            Found::Handler(_, params) => format!("{params:?}"),
            Found::Methods(methods) => format!("{methods:?}"),
            Found::Nobody => "nobody".into(),
        }
    }

    #[test]
    fn a_path_is_matched_segment_by_segment() {
        assert_eq!(found(&Method::GET, "/a"), "[]");
        assert_eq!(found(&Method::HEAD, "/a"), "[]");
        assert_eq!(found(&Method::GET, "/a/special"), "[]");
        assert_eq!(found(&Method::GET, "/a/x%2Fy%20z"), r#"[("id", "x/y z")]"#);
        assert_eq!(found(&Method::DELETE, "/a/1/b/2"), r#"[("id", "1"), ("other", "2")]"#);
        for path in ["/", "", "/a/", "/a//b/2", "/b", "/a/1/b", "/a/%ff", "/a/1/b/2/"] {
            assert_eq!(found(&Method::GET, path), "nobody", "{path}");
        }
    }

    #[test]
    fn a_wrong_method_learns_the_right_ones() {
        assert_eq!(found(&Method::PUT, "/a/1"), "[GET, HEAD, POST]");
        assert_eq!(found(&Method::GET, "/a/1/b/2"), "[DELETE]");
    }
}
