use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;

/// Far above what is needed; reached only when the test fails.
const DEADLINE: Duration = Duration::from_secs(20);

fn options(otlp_endpoint: Option<&str>) -> Options<'_> {
    Options { service: "my-daemon", version: "1.2.3", filter: "info", format: LogFormat::Text, otlp_endpoint }
}

struct Export {
    head: String,
    body: Vec<u8>,
}

/// A collector that takes one export.
fn collector() -> (String, Receiver<Export>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || tell.send(take(listener.accept().unwrap().0)));
    (endpoint, told)
}

fn take(mut stream: TcpStream) -> Export {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "broke off after {head}");
    }
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    Export { head, body }
}

fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn spans_reach_the_collector() {
    let (endpoint, exports) = collector();
    let log = tempfile::NamedTempFile::new().unwrap();
    let lines = log.reopen().unwrap();
    // Built within a runtime, where a blocking client would panic if it were not kept away.
    let (subscriber, telemetry) =
        assemble(options(Some(&endpoint)), false, move || lines.try_clone().unwrap()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!("reconcile", broker = 7).in_scope(|| tracing::info!("looked around"));
        tracing::debug_span!("too fine").in_scope(|| {});
        tracing::info_span!(target: "hyper::server", "own request").in_scope(|| {});
    });
    telemetry.shutdown().await;
    let export = exports.recv_timeout(DEADLINE).unwrap();
    assert!(export.head.starts_with("post /v1/traces http/1.1"), "{}", export.head);
    assert!(export.head.contains("content-type: application/x-protobuf"), "{}", export.head);
    for text in ["my-daemon", "service.version", "1.2.3", "reconcile", "broker", "looked around"] {
        assert!(holds(&export.body, text), "{text}");
    }
    assert!(!holds(&export.body, "too fine") && !holds(&export.body, "own request"));
    let lines = std::fs::read_to_string(log.path()).unwrap();
    assert!(lines.ends_with(" INFO looked around\n"), "no line begins with its span: {lines}");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (subscriber, telemetry) = assemble(options(Some(&endpoint)), false, io::sink).unwrap();
    tracing::subscriber::with_default(subscriber, || tracing::info_span!("lost").in_scope(|| {}));
    tokio::time::timeout(DEADLINE, telemetry.shutdown()).await.unwrap();
}

#[test]
fn a_wrong_endpoint_is_an_error_without_its_password() {
    for (endpoint, reason) in [
        ("http://user:hunter2@ no host", "it is no URL"),
        ("http://user:hunter2@collector:4318", "credentials belong into OTEL_EXPORTER_OTLP_HEADERS"),
        ("collector:4318", "it is neither http nor https"),
    ] {
        let error = assemble(options(Some(endpoint)), false, io::sink).err().unwrap();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().starts_with("cannot set up traces to "), "{error}");
        assert_eq!(cause, reason);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn without_a_collector_no_span_is_made() {
    let (subscriber, _) = assemble(options(None), false, io::sink).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        assert!(tracing::info_span!("unwanted").is_disabled());
        assert!(tracing::event_enabled!(tracing::Level::INFO), "events are");
    });
}
