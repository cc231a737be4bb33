//! Servers that are no brokers: each costs an error within the deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_admin::{AlterMode, Alteration, Client, Config, Error, Filter, Outcome};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{ApiVersionsResponse, MetadataResponse};
use kafka_protocol::protocol::{Encodable, StrBytes};
use testbed::wait::LIMIT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::{set, user};

/// How long a call waits for an answer that does not come.
const SILENCE: Duration = Duration::from_secs(3);
const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trick {
    Close,
    Garbage,
    Http,
    Truncate,
    Stall,
    Drip,
    Negative,
    TwoGigabytes,
    LongestAndStall,
    OtherId,
    Twice,
    LongArray,
    Empty,
}

const TRICKS: [Trick; 13] = [
    Trick::Close,
    Trick::Garbage,
    Trick::Http,
    Trick::Truncate,
    Trick::Stall,
    Trick::Drip,
    Trick::Negative,
    Trick::TwoGigabytes,
    Trick::LongestAndStall,
    Trick::OtherId,
    Trick::Twice,
    Trick::LongArray,
    Trick::Empty,
];

/// Answers as a broker does until the request of this number comes, then plays its trick.
#[derive(Clone, Debug)]
struct Server {
    trick: Trick,
    at: i16,
    port: u16,
    /// How often it was played.
    played: Arc<AtomicUsize>,
    /// How many connections came.
    accepted: Arc<AtomicUsize>,
}

fn framed(id: i32, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i32(i32::try_from(body.len()).unwrap() + 4);
    frame.put_i32(id);
    frame.put_slice(body);
    frame.freeze()
}

impl Server {
    fn honest(&self, key: i16, id: i32) -> Bytes {
        let mut body = BytesMut::new();
        if key == API_VERSIONS {
            let api = |(key, least, most)| {
                ApiVersion::default().with_api_key(key).with_min_version(least).with_max_version(most)
            };
            let keys = [(18, 0, 3), (3, 4, 4), (48, 0, 0), (49, 0, 0)].map(api);
            let response = ApiVersionsResponse::default().with_api_keys(keys.into());
            response.encode(&mut body, 3).unwrap();
        } else {
            let broker = MetadataResponseBroker::default()
                .with_node_id(1.into())
                .with_host(StrBytes::from_static_str("127.0.0.1"))
                .with_port(self.port.into())
                .with_rack(None);
            let response =
                MetadataResponse::default().with_brokers(vec![broker]).with_controller_id(1.into());
            response.encode(&mut body, 4).unwrap();
        }
        framed(id, &body)
    }

    async fn serve(self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length).await?;
            let mut request = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
            stream.read_exact(&mut request).await?;
            let mut request = request.as_slice();
            let (key, _, id) = (request.get_i16(), request.get_i16(), request.get_i32());
            if key == self.at {
                return self.play(stream, key, id).await;
            }
            stream.write_all(&self.honest(key, id)).await?;
        }
    }

    async fn play(self, mut stream: TcpStream, key: i16, id: i32) -> std::io::Result<()> {
        self.played.fetch_add(1, Ordering::SeqCst);
        let stall = Duration::from_secs(3_600);
        match self.trick {
            Trick::Close => return Ok(()),
            Trick::Garbage => {
                let noise: Vec<u8> = (0..4_096).map(|_| fastrand::u8(..)).collect();
                stream.write_all(&noise).await?;
            }
            Trick::Http => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?,
            Trick::Truncate => {
                stream.write_all(&[0, 0, 3, 0xe8, 0, 0, 0, 0, 1]).await?;
                return Ok(());
            }
            Trick::Stall => {}
            Trick::Drip => {
                stream.write_all(&[0, 0, 3, 0xe8]).await?;
                loop {
                    stream.write_all(&[0]).await?;
                    sleep(Duration::from_millis(20)).await;
                }
            }
            Trick::Negative => stream.write_all(&(-1_i32).to_be_bytes()).await?,
            Trick::TwoGigabytes => stream.write_all(&i32::MAX.to_be_bytes()).await?,
            Trick::LongestAndStall => stream.write_all(&(512_i32 << 10).to_be_bytes()).await?,
            Trick::OtherId => stream.write_all(&self.honest(key, id.wrapping_add(1))).await?,
            Trick::Twice => {
                let answer = framed(id, &[0xff; 3]);
                stream.write_all(&[&answer[..], &answer[..]].concat()).await?;
            }
            // Whatever the request, an array of the greatest length is soon announced.
            Trick::LongArray => stream.write_all(&framed(id, &[0x7f; 40])).await?,
            Trick::Empty => stream.write_all(&framed(id, &[])).await?,
        }
        sleep(stall).await;
        Ok(())
    }
}

async fn start(trick: Trick, at: i16, tasks: &mut JoinSet<()>) -> (SocketAddr, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (played, accepted) = Default::default();
    let server = Server { trick, at, port: address.port(), played, accepted };
    let started = server.clone();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            server.accepted.fetch_add(1, Ordering::SeqCst);
            connections.spawn(server.clone().serve(stream));
        }
    });
    (address, started)
}

impl Trick {
    /// How long a write may take: silence has to be waited for, everything else is told at once.
    const fn of_write(self) -> Duration {
        match self {
            Self::Stall | Self::Drip | Self::LongestAndStall | Self::Garbage => SILENCE,
            _ => LIMIT,
        }
    }

    /// The same for a read, which is tried again until then after a connection that broke.
    const fn of_read(self) -> Duration {
        match self {
            Self::Close | Self::Truncate => SILENCE,
            other => other.of_write(),
        }
    }
}

fn config(address: SocketAddr, deadline: Duration) -> Config {
    let deadline = deadline.as_millis().to_string();
    Config::new([("bootstrap.servers", address.to_string()), ("admin.timeout.ms", deadline)]).unwrap()
}

async fn connect(address: SocketAddr) -> Client {
    Client::connect(config(address, LIMIT)).await.unwrap()
}

fn expect(trick: Trick, error: &Error) {
    let shown = format!("{trick:?}: {error}");
    match trick {
        Trick::Stall | Trick::Drip | Trick::LongestAndStall => {
            assert!(matches!(error, Error::Timeout { .. }), "{shown}");
        }
        // A read that is tried again may end with a try that had no time left.
        Trick::Close | Trick::Truncate => {
            assert!(matches!(error, Error::Interrupted { .. } | Error::Timeout { .. }), "{shown}");
        }
        // Noise may look like a frame that goes on.
        Trick::Garbage => {}
        _ => {
            assert!(matches!(error, Error::Malformed { .. }), "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_no_broker_costs_an_error_within_the_deadline() {
    let (mut tasks, mut checks) = (JoinSet::new(), JoinSet::new());
    for at in [API_VERSIONS, METADATA] {
        for trick in TRICKS {
            let (address, _) = start(trick, at, &mut tasks).await;
            checks.spawn(async move {
                let error = Client::connect(config(address, trick.of_read())).await.err().unwrap();
                expect(trick, &error);
            });
        }
    }
    checks.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_sent_leaves_the_outcome_open_and_is_sent_once() {
    let mut tasks = JoinSet::new();
    for trick in TRICKS {
        let (address, server) = start(trick, 49, &mut tasks).await;
        let client = connect(address).await.with_timeout(trick.of_write());
        let alterations: Vec<Alteration> = vec![set(&user("alice"), "producer_byte_rate", 1.0)];
        let altered = client.alter_client_quotas(&alterations, AlterMode::Apply).await;
        let error = altered[0].result.as_ref().unwrap_err();
        expect(trick, error);
        assert_eq!(error.outcome(), Outcome::Unknown, "{trick:?}: {error}");
        assert_eq!(server.played.load(Ordering::SeqCst), 1, "{trick:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_goes_on_after_a_connection_that_broke() {
    let mut tasks = JoinSet::new();
    let (address, server) = start(Trick::Close, 48, &mut tasks).await;
    let client = connect(address).await.with_timeout(SILENCE);
    let error = client.describe_client_quotas(&Filter::all()).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    assert!(server.played.load(Ordering::SeqCst) > 1, "tried again");
    // The broker is still there for others.
    assert_eq!(client.metadata(kafka_admin::Topics::NONE).await.unwrap().brokers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_the_same_time_share_one_connection() {
    let mut tasks = JoinSet::new();
    let (address, server) = start(Trick::Close, i16::MAX, &mut tasks).await;
    let client = connect(address).await;
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let client = client.clone();
        calls.spawn(async move { client.metadata(kafka_admin::Topics::NONE).await.map(drop) });
    }
    for result in calls.join_all().await {
        result.unwrap();
    }
    // The one that asked the bootstrap server who is there, and the broker's.
    let accepted = server.accepted.load(Ordering::SeqCst);
    assert!(accepted <= 2, "{accepted} connections");
}

#[tokio::test]
async fn nobody_there_is_an_error_that_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Client::connect(config(address, SILENCE)).await.err().unwrap();
    assert!(error.to_string().starts_with(&format!("cannot reach {address}: ")), "{error}");
    assert_eq!(error.outcome(), Outcome::NotSent);
}
