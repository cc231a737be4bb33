//! Traces of the daemon as a process. The collector, and a broker that knows nothing but itself, are played here.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::fixtures::{CONFIG, put};

/// Far above what is needed; reached only when the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;

/// Listens, and gives each connection a thread of its own. What it throws ends the connection.
fn server(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream?));
        }
    });
    address
}

/// Enough of Kafka for ticks to begin: who it is. What else it is asked, it refuses by its versions.
fn broker() -> SocketAddr {
    server(|mut stream| {
        let port = stream.local_addr()?.port();
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let mut request = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
            stream.read_exact(&mut request)?;
            let body = match i16::from_be_bytes([request[0], request[1]]) {
                API_VERSIONS => api_versions(),
                METADATA => metadata(port),
                _ => return Ok(()),
            };
            let answer = [&request[4..8], &body].concat();
            stream.write_all(&u32::try_from(answer.len()).unwrap().to_be_bytes())?;
            stream.write_all(&answer)?;
        }
    })
}

/// Version 3: no error, two requests in a compact array, not throttled.
fn api_versions() -> Vec<u8> {
    let served = [(API_VERSIONS, 0_i16, 3_i16), (METADATA, 4, 4)];
    let mut body = vec![0, 0, 3];
    for (key, least, most) in served {
        body.extend([key, least, most].iter().flat_map(|number| number.to_be_bytes()));
        body.push(0);
    }
    body.extend([0; 5]);
    body
}

/// Version 4: not throttled, one broker without a rack, no cluster id, the controller, no topics.
fn metadata(port: u16) -> Vec<u8> {
    let mut body = [0_i32, 1, 1].map(i32::to_be_bytes).concat();
    body.extend(9_i16.to_be_bytes());
    body.extend(b"127.0.0.1");
    body.extend(i32::from(port).to_be_bytes());
    body.extend([(-1_i16).to_be_bytes(); 2].concat());
    body.extend([1_i32, 0].map(i32::to_be_bytes).concat());
    body
}

#[derive(Debug)]
struct Span {
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
}

/// Takes what comes to `/v1/traces`.
fn collector() -> (String, Receiver<Span>) {
    let (found, spans) = channel();
    let address = server(move |stream| collect(stream, &found));
    (format!("http://{address}"), spans)
}

fn collect(mut stream: TcpStream, found: &Sender<Span>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body)?;
        for resource in fields(&body, 1) {
            for span in fields(resource, 2).iter().flat_map(|scope| fields(scope, 2)) {
                let bytes =
                    |number| fields(span, number).first().map_or_else(Vec::new, |bytes| bytes.to_vec());
                let name = String::from_utf8(bytes(5)).unwrap();
                // Nobody waits any more when the test has ended.
                found.send(Span { id: bytes(2), parent: bytes(4), name }).ok();
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
}

/// The fields of this number in a message of Protobuf that have a length.
fn fields(mut message: &[u8], wanted: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        let length = match tag & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            5 => 4,
            _ => usize::try_from(varint(&mut message)).unwrap(),
        };
        let (value, rest) = message.split_at(length);
        message = rest;
        if tag == wanted << 3 | 2 {
            found.push(value);
        }
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// Ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_tick_arrives_with_its_stages_and_leaves_the_log_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (endpoint, exported) = collector();
    let config = CONFIG.replacen("127.0.0.1:1", &broker().to_string(), 1);
    let config = put(folder.path(), "quota-enforcer.yaml", &config);
    let log = folder.path().join("log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_quota-enforcer"));
    command.args([
        "run",
        "--admin-listen",
        "127.0.0.1:0",
        "--log-level",
        "info,kafka_admin=debug",
        "--config",
    ]);
    command.arg(config).args(["--otlp-endpoint", &endpoint]).stderr(File::create(&log).unwrap());
    // Batches go off soon.
    let daemon = Daemon(command.env_clear().env("OTEL_BSP_SCHEDULE_DELAY", "100").spawn().unwrap());

    let mut spans: Vec<Span> = Vec::new();
    let arrived = |spans: &[Span]| {
        let within = |outer: &Span, name| {
            spans.iter().find(|span| span.parent == outer.id && span.name == name).map(|span| &span.id)
        };
        let ticks = spans.iter().filter(|span| span.name == "tick" && span.parent.is_empty());
        ticks.map(|tick| (within(tick, "observe"), within(tick, "decide"))).any(|(observe, decide)| {
            let observe = spans.iter().find(|span| Some(&span.id) == observe);
            let asked = |what| observe.is_some_and(|observe| within(observe, what).is_some());
            decide.is_some() && asked("query") && asked("DescribeClientQuotas")
        })
    };
    while !arrived(&spans) {
        match exported.recv_timeout(DEADLINE) {
            Ok(span) => spans.push(span),
            Err(error) => panic!("{error}: {spans:#?}\n{}", fs::read_to_string(&log).unwrap()),
        }
    }
    drop(daemon);
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains(" DEBUG connected endpoint="), "said within spans, without their names:\n{log}");
}
