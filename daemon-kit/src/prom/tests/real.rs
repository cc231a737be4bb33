//! The client against a real Prometheus, over TLS and with a password.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::process::{Child, Command};

use super::super::*;

/// bcrypt of `correct horse`, cost 4.
const HASH: &str = "$2b$04$yqeqITkkW88Pvx0O8MOWzO8tftoW3RX6xX9k9A3Oc85DJECCJRSBS";

struct Server {
    url: String,
    _child: Child,
    _dir: tempfile::TempDir,
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls").join(name)
}

/// Starts Prometheus (`PROMETHEUS` names another binary than the one on the path), scraping itself every second.
async fn start() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let config = format!(
        "scrape_configs: [{{job_name: self, scrape_interval: 1s, scheme: https, tls_config: {{ca_file: {ca}}}, \
         basic_auth: {{username: bob, password: correct horse}}, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]",
        ca = testdata("ca.pem").display()
    );
    let web = format!(
        "tls_server_config: {{cert_file: {}, key_file: {}}}\nbasic_auth_users: {{bob: {HASH}}}",
        testdata("server.pem").display(),
        testdata("server.key").display()
    );
    for (name, text) in [("prometheus.yml", config), ("web.yml", web)] {
        tokio::task::block_in_place(|| {
            std::io::Write::write_all(
                &mut std::fs::File::create(dir.path().join(name)).unwrap(),
                text.as_bytes(),
            )
        })
        .unwrap();
    }
    let binary = std::env::var("PROMETHEUS").unwrap_or_else(|_| "prometheus".into());
    let child = Command::new(binary)
        .current_dir(dir.path())
        .arg("--config.file=prometheus.yml")
        .arg("--storage.tsdb.path=data")
        .arg("--web.config.file=web.yml")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    Server { url: format!("https://127.0.0.1:{port}"), _child: child, _dir: dir }
}

fn options(server: &Server) -> Options {
    let mut options = Options::new(&server.url);
    options.ca_file = Some(testdata("ca.pem"));
    options.auth = Auth::Basic { user: "bob".into(), password: Secret::new("correct horse") };
    options
}

#[allow(clippy::disallowed_methods, reason = "the server's samples carry the real time")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_works_against_a_real_server() {
    let server = start().await;
    let client = Client::new(options(&server)).unwrap();
    let up = async {
        loop {
            match client.instant("up", None).await {
                Ok(answer) if answer.value.first().and_then(Series::last) == Some(1.0) => break,
                Ok(_) | Err(Error::Unreachable { .. } | Error::Status { status: 503, .. }) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), up).await.expect("prometheus does not scrape itself");
    let now = now_ms();

    let answer =
        client.instant("vector(0) / 0 or label_replace(vector(1), \"a\", \"b\", \"\", \"\") / 0", Some(now));
    let values: Vec<f64> = answer.await.unwrap().value.iter().filter_map(Series::last).collect();
    assert!(matches!(values.as_slice(), [nan, inf] if nan.is_nan() && *inf == f64::INFINITY), "{values:?}");

    let answer = client.instant("42", Some(1_700_000_000_123)).await.unwrap().value;
    assert_eq!(answer[0].samples, [Sample { at_ms: 1_700_000_000_123, value: 42.0 }]);

    let answer = client.range("time()", 1_700_000_000_500, 1_700_000_060_500, 30_000).await.unwrap().value;
    let times: Vec<i64> = answer[0].samples.iter().map(|sample| sample.at_ms).collect();
    assert_eq!(times, [1_700_000_000_500, 1_700_000_030_500, 1_700_000_060_500]);

    let series = client.series(&["up", "scrape_duration_seconds"], now - 60_000, now).await.unwrap().value;
    assert_eq!(series.len(), 2, "{series:?}");
    assert_eq!(client.label_values("job", "up", now - 60_000, now).await.unwrap().value, ["self"]);
    let names = client.label_values("__name__", "", now - 60_000, now).await.unwrap().value;
    assert!(names.iter().any(|name| name == "scrape_duration_seconds"), "{names:?}");
    let error = client.instant("sum(", None).await.unwrap_err();
    assert!(matches!(&error, Error::Api { status: 400, kind, .. } if kind == "bad_data"), "{error:?}");
    let error = client.range("up", 0, 12_000_000, 1_000).await.unwrap_err();
    assert!(error.to_string().contains("11,000"), "{error}");

    let mut wrong = options(&server);
    wrong.auth = Auth::Basic { user: "bob".into(), password: Secret::new("battery") };
    let error = Client::new(wrong).unwrap().instant("up", None).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 401, .. }), "{error:?}");

    let mut stranger = options(&server);
    stranger.ca_file = None;
    stranger.retries.attempts = 0;
    let error = Client::new(stranger).unwrap().instant("up", None).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}
