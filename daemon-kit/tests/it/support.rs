//! A client that says exactly what it is told to, and waiting with a deadline.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use daemon_kit::admin;
use daemon_kit::runtime::{RunError, Runtime};
use daemon_kit::shutdown::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Far above what is needed; reached only when a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

#[allow(clippy::disallowed_methods, reason = "a daemon must bear a file that is written in place")]
pub(crate) fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    std::fs::write(path, text).unwrap();
}

pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// Polls until the condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends the text and reads until the server closes.
pub(crate) async fn raw(address: SocketAddr, request: &str) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(&mut stream).await
    };
    within("an answer", exchange).await
}

/// Reads until the server closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A server that refuses a body closes while more of it arrives: the answer before the reset counts.
    if let Err(error) = stream.read_to_end(&mut bytes).await {
        assert!(!bytes.is_empty(), "{error}");
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

pub(crate) async fn call(address: SocketAddr, method: &str, path: &str, token: Option<&str>) -> Answer {
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = if method == "GET" || method == "HEAD" { "" } else { "content-length: 0\r\n" };
    raw(address, &format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{token}{length}\r\n"))
        .await
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    call(address, "GET", path, None).await
}

pub(crate) fn options() -> admin::Options {
    admin::Options::loopback(0)
}

pub(crate) fn build(options: admin::Options) -> Runtime {
    Runtime::builder("kit-test", "0.0.1").admin(options).without_signals().build().unwrap()
}

/// A runtime that runs in this process.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    run: JoinHandle<Result<(), RunError>>,
}

impl Running {
    #[allow(clippy::disallowed_methods, reason = "the handle is kept")]
    pub(crate) fn start(runtime: Runtime) -> Self {
        let (address, shutdown) = (runtime.admin_address().unwrap(), runtime.shutdown());
        Self { address, shutdown, run: tokio::spawn(runtime.run()) }
    }

    pub(crate) async fn end(self) -> Result<(), RunError> {
        within("the end of the run", self.run).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.drain();
        self.end().await.unwrap();
    }

    /// Value of a series on `/metrics`.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let text = get(self.address, "/metrics").await.body;
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }
}
