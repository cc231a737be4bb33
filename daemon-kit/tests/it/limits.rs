//! What a hostile or unlucky peer can cost: an error of its own, for a bounded time.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use daemon_kit::admin::{self, Request, Response, Routes, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::support::{Running, build, get, options, raw, rest, until, within};

/// Long enough for a busy machine to send a request in.
const SHORT: Duration = Duration::from_secs(1);

fn limited(change: impl FnOnce(&mut admin::Limits)) -> admin::Options {
    let mut options = options();
    change(&mut options.limits);
    options
}

fn start(options: admin::Options, routes: Routes) -> Running {
    let mut runtime = build(options);
    runtime.routes(routes);
    Running::start(runtime)
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let running = start(limited(|limits| limits.header_time = SHORT), Routes::new());
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /live HTTP/1.1\r\n").await.unwrap();
    let trickle = async {
        // Each line is in time, the whole is not.
        while stream.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(SHORT / 5).await;
        }
    };
    within("the cut", trickle).await;
    running.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let running = start(limited(|limits| limits.header_time = SHORT), Routes::new());
    let mut fresh = TcpStream::connect(running.address).await.unwrap();
    let mut kept = TcpStream::connect(running.address).await.unwrap();
    kept.write_all(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = within("the end of a kept connection", rest(&mut kept)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "alive\n"));
    assert_eq!(within("the end of a fresh one", fresh.read(&mut [0])).await.unwrap_or(0), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let running = start(limited(|limits| limits.header_bytes = 1_000), Routes::new());
    let fits = format!("GET /live HTTP/1.1\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(800));
    assert_eq!(raw(running.address, &fits).await.status, 200);
    let large = format!("GET /live HTTP/1.1\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(1_200));
    assert_eq!(raw(running.address, &large).await.status, 431);
    let many = format!("GET /live HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert_eq!(raw(running.address, &many).await.status, 431);
    running.stop().await;
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let echo =
        |request: Request| async move { Response::text(StatusCode::OK, request.body.len().to_string()) };
    let options = limited(|limits| limits.body_bytes = 10);
    // GET needs no token and may have a body all the same.
    let running = start(options, Routes::new().get("/api/echo", echo));
    let ask = async |headers: &str, body: &str| {
        let head = format!("GET /api/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n\r\n");
        raw(running.address, &format!("{head}{body}")).await
    };
    assert_eq!(ask("content-length: 10", "0123456789").await.body, "10\n");
    assert_eq!(ask("content-length: 11", "01234567890").await.status, 413);
    assert_eq!(ask("content-length: 99999999999", "").await.status, 413, "before any of it arrived");
    assert_eq!(
        ask("transfer-encoding: chunked", "6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n").await.status,
        413
    );
    assert_eq!(ask("transfer-encoding: chunked", "nonsense\r\n").await.status, 400);
    running.stop().await;
}

#[tokio::test]
async fn a_slow_body_and_a_slow_handler_run_out_of_time() {
    let options = limited(|limits| limits.request_time = SHORT);
    let routes = Routes::new()
        .get("/api/body", |_| async { Response::text(StatusCode::OK, "") })
        .get("/api/never", |_| pending());
    let running = start(options, routes);
    let ask = async |path: &str, headers: &str| {
        raw(running.address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"))
            .await
    };
    assert_eq!(ask("/api/body", "content-length: 5\r\n").await.status, 408);
    assert_eq!(ask("/api/never", "").await.status, 503);
    running.stop().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_given_up() {
    let options = limited(|limits| {
        limits.stall_time = SHORT;
        limits.connections = 1;
    });
    let large = |_| async { Response::new(StatusCode::OK, "text/plain", vec![b'x'; 64 << 20]) };
    let running = start(options, Routes::new().get("/api/large", large));
    let mut deaf = TcpStream::connect(running.address).await.unwrap();
    deaf.write_all(b"GET /api/large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // It holds the only place, until it is thrown out.
    assert_eq!(get(running.address, "/live").await.status, 200);
    drop(deaf);
    running.stop().await;
}

#[tokio::test]
async fn no_more_connections_are_served_than_allowed() {
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let door = Arc::new(Semaphore::new(0));
    let handler = {
        let (inside, most, door) = (Arc::clone(&inside), Arc::clone(&most), Arc::clone(&door));
        move |_| {
            let (inside, most, door) = (Arc::clone(&inside), Arc::clone(&most), Arc::clone(&door));
            async move {
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                door.acquire().await.unwrap().forget();
                inside.fetch_sub(1, Ordering::SeqCst);
                Response::text(StatusCode::OK, "done")
            }
        }
    };
    let running = start(limited(|limits| limits.connections = 2), Routes::new().get("/api/wait", handler));
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(b"GET /api/wait HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        streams.push(stream);
    }
    until("two inside", async || inside.load(Ordering::SeqCst) == 2).await;
    // The server runs on this thread: were there room, the others would come in now.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    door.add_permits(5);
    for stream in &mut streams {
        assert_eq!(within("each in its turn", rest(stream)).await.status, 200);
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    running.stop().await;
}
