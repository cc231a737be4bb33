//! A server that does exactly what a test tells it to, byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// These bytes, then the end of the connection.
    Raw(String),
    /// These bytes, then nothing while the test runs.
    RawThenStall(String),
    Stall,
    Close,
}

impl Reply {
    pub(super) fn ok(body: &str) -> Self {
        Self::status(200, body)
    }

    pub(super) fn status(status: u16, body: &str) -> Self {
        Self::Raw(format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))
    }
}

pub(super) struct Fake {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Fake {
    /// Calls `script` with the number of requests before and the request itself.
    pub(super) async fn new(script: impl Fn(usize, &str) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut stalled = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                let reply = {
                    let mut seen = seen.lock().unwrap();
                    let reply = script(seen.len(), &request);
                    seen.push(request);
                    reply
                };
                match reply {
                    Reply::Close => {}
                    Reply::Stall => stalled.push(stream),
                    // A client that has had enough closes early: its right.
                    Reply::Raw(text) => drop(stream.write_all(text.as_bytes()).await),
                    Reply::RawThenStall(text) => {
                        drop(stream.write_all(text.as_bytes()).await);
                        stalled.push(stream);
                    }
                }
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/prefix/", self.address)
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, length)| length.trim().parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}
