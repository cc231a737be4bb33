//! The listener for probes, Prometheus and operators.
//!
//! | request | answer |
//! |---|---|
//! | `GET /live` | 200 as long as the process answers |
//! | `GET /ready` | 200 or 503, with what is missing |
//! | `GET /metrics` | OpenMetrics text |
//! | `POST /-/reload` | 200, or 400 with what is wrong in the configuration |
//! | the daemon's own, below `/api/` | see [`Routes`] |
//!
//! It is made for hostile weather: time, size and number of everything are bounded ([`Limits`]). Where all connections are
//! taken, new ones wait in the kernel's queue until a limit ends one of the others. Whatever is not GET or HEAD needs the
//! bearer token of a file; without such a file it is refused. Nothing listens beyond loopback unless it is told to.
//!
//! [`Options::bind`] reserves the port, [`Bound::spawn`] serves.

mod answer;
mod auth;
mod builtin;
mod request;
mod route;
mod serve;
mod stall;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;

use crate::ready::Readiness;
use crate::reload;
use crate::tasks::Tasks;

pub use answer::Response;
pub use hyper::{Method, StatusCode};
pub use request::Request;
pub use route::{Handler, ResponseFuture, Routes};

/// Where to listen and what to bear.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// File with the token that mutating requests must bear. It is read for each of them, so it may change.
    pub token_file: Option<PathBuf>,
    /// What is too much.
    pub limits: Limits,
}

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the whole head of a request to arrive, and for a kept connection to stay silent.
    pub header_time: Duration,
    /// For the body to arrive (then 408), and again for the handler to answer (then 503).
    pub request_time: Duration,
    /// For the peer to take a piece of the answer.
    pub stall_time: Duration,
    /// Bytes of request line and headers (then 431). At most 64 KiB.
    pub header_bytes: usize,
    /// Bytes of a body (then 413).
    pub body_bytes: usize,
    /// Connections served at the same time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_time: Duration::from_secs(5),
            request_time: Duration::from_secs(10),
            stall_time: Duration::from_secs(10),
            header_bytes: 16 << 10,
            body_bytes: 64 << 10,
            connections: 64,
        }
    }
}

/// The port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}")]
pub struct BindError {
    /// As configured.
    pub listen: SocketAddr,
    /// Why.
    pub source: io::Error,
}

impl Options {
    /// Loopback with that port, no token, usual limits.
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { listen, token_file: None, limits: Limits::default() }
    }

    /// Reserves the port.
    ///
    /// # Errors
    /// It is taken, or not ours to take.
    pub fn bind(self) -> Result<Bound, BindError> {
        let listen = self.listen;
        let bind = || {
            let listener = TcpListener::bind(listen)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Bound { listener, address, options: self })
        };
        bind().map_err(|source| BindError { listen, source })
    }
}

/// A reserved port.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
}

/// What the built-in routes show.
#[derive(Debug)]
pub struct Shown {
    /// For `/ready`.
    pub readiness: Readiness,
    /// For `/metrics`.
    pub registry: Arc<Registry>,
    /// For `/-/reload`; that route exists only with it.
    pub reload: Option<reload::Handle>,
}

impl Bound {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the group is told to stop; requests that have begun are answered.
    ///
    /// # Errors
    /// There is no tokio runtime with I/O.
    pub fn spawn(self, shown: Shown, routes: Routes, tasks: &Tasks) -> io::Result<()> {
        let Self { listener, address, options } = self;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        if address.ip().is_loopback() {
            tracing::info!(%address, "admin listener");
        } else {
            tracing::warn!(%address, "the admin listener can be reached from other machines, without encryption");
        }
        let token = auth::Token::new(options.token_file);
        let service =
            Arc::new(serve::Service::new(builtin::routes(shown).then(routes), token, options.limits));
        let connections = tasks.clone();
        tasks.critical("admin listener", |cancel| serve::accept(listener, service, connections, cancel));
        Ok(())
    }
}
