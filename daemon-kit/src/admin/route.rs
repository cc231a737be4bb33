use std::pin::Pin;
use std::sync::Arc;

use hyper::Method;

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

/// Who answers what, by method and whole path.
///
/// ```
/// use daemon_kit::admin::{Request, Response, Routes, StatusCode};
///
/// let routes = Routes::new()
///     .get("/api/v1/items", |_| async { Response::json(StatusCode::OK, &["a", "b"]) })
///     .get("/api/v1/item", |request: Request| async move {
///         Response::text(StatusCode::OK, request.value("name").unwrap_or_default())
///     });
/// ```
#[derive(Clone, Default)]
pub struct Routes(Vec<Route>);

#[derive(Clone)]
struct Route {
    method: Method,
    path: &'static str,
    handler: Arc<dyn Handler>,
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|route| (&route.method, route.path))).finish()
    }
}

/// Who answers a request.
pub(super) enum Found {
    /// This one.
    Handler(Arc<dyn Handler>),
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

    /// Answers GET and HEAD.
    #[must_use]
    pub fn get(self, path: &'static str, handler: impl Handler) -> Self {
        self.route(Method::GET, path, handler)
    }

    /// Answers POST, for callers with the token.
    #[must_use]
    pub fn post(self, path: &'static str, handler: impl Handler) -> Self {
        self.route(Method::POST, path, handler)
    }

    fn route(mut self, method: Method, path: &'static str, handler: impl Handler) -> Self {
        self.0.push(Route { method, path, handler: Arc::new(handler) });
        self
    }

    /// These, then those.
    #[must_use]
    pub fn then(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Method and path of each, as added.
    pub fn list(&self) -> impl Iterator<Item = (&Method, &'static str)> {
        self.0.iter().map(|route| (&route.method, route.path))
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let mut allowed = Vec::new();
        for route in self.0.iter().filter(|route| route.path == path) {
            if route.method == *method {
                return Found::Handler(Arc::clone(&route.handler));
            }
            if route.method == Method::GET {
                allowed.push(Method::HEAD);
            }
            allowed.push(route.method.clone());
        }
        if allowed.is_empty() {
            return Found::Nobody;
        }
        allowed.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        Found::Methods(allowed)
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn found(method: &Method, path: &str) -> String {
        let answer = |_| async { Response::text(StatusCode::OK, "") };
        let routes =
            Routes::new().get("/a", answer).get("/a/b", answer).post("/a/b", answer).post("/c", answer);
        match routes.find(method, path) {
            Found::Handler(_) => "somebody".into(),
            Found::Methods(methods) => format!("{methods:?}"),
            Found::Nobody => "nobody".into(),
        }
    }

    #[test]
    fn a_whole_path_is_answered() {
        for (method, path) in
            [(Method::GET, "/a"), (Method::HEAD, "/a"), (Method::POST, "/a/b"), (Method::POST, "/c")]
        {
            assert_eq!(found(&method, path), "somebody", "{method} {path}");
        }
        for path in ["/", "", "/a/", "/a//b", "/a/b/", "/a%2Fb", "/b"] {
            assert_eq!(found(&Method::GET, path), "nobody", "{path}");
        }
    }

    #[test]
    fn a_wrong_method_learns_the_right_ones() {
        assert_eq!(found(&Method::PUT, "/a/b"), "[GET, HEAD, POST]");
        assert_eq!(found(&Method::GET, "/c"), "[POST]");
    }
}
