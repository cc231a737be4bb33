//! `validate --prometheus` against a real Prometheus.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use daemon_kit::prom::{Client, Options};
use serde_json::Value;
use testbed::http::{HttpServer, Reply};
use testbed::{Prometheus, Target, wait};

use super::lean_support as support;

/// Requests, all of them good; and errors that have no requests.
const PAGE: &str = "\
requests_total{code=\"200\",app=\"shop\"} 100
requests_total{code=\"404\",app=\"shop\"} 7
odd_errors_total 50
odd_total 10
";

const SPEC: &str = r#"version: prometheus/v1
service: shop
slos:
  - name: fine
    objective: 99
    sli:
      events:
        error_query: sum(rate(requests_total{code="404"}[{{.window}}]))
        total_query: sum(rate(requests_total[{{.window}}]))
    alerting: {name: A}
    backstop: {scrape_interval: 1s}
  - name: never
    objective: 99
    sli:
      events:
        error_query: sum(rate(requests_total{app="shop",code=~"5.."}[{{.window}}]))
        total_query: sum(rate(requests_total{app="shop"}[{{.window}}]))
    alerting: {name: A}
    backstop: {scrape_interval: 1s}
  - name: typo
    objective: 99
    sli:
      events:
        error_query: sum(rate(requests_total{cod="404"}[{{.window}}]))
        total_query: sum(rate(request_total[{{.window}}]))
    alerting: {name: A}
    backstop: {scrape_interval: 1s}
  - name: slow
    objective: 99
    sli:
      events:
        error_query: sum(rate(requests_total{code="404"}[{{.window}}]))
        total_query: sum(rate(requests_total[{{.window}}]))
    alerting: {name: A}
  - name: swapped
    objective: 99
    sli:
      events:
        error_query: sum(count_over_time(odd_errors_total[{{.window}}])) * 2
        total_query: sum(count_over_time(odd_total[{{.window}}]))
    alerting: {name: A}
    backstop: {scrape_interval: 1s}
  - name: raw
    objective: 99
    sli:
      raw:
        error_ratio_query: sum(rate(odd_errors_total[{{.window}}])) / sum(rate(odd_total[{{.window}}]))
    alerting: {name: A}
    backstop: {scrape_interval: 1s}
"#;

async fn server() -> (Prometheus, HttpServer) {
    let exporter = HttpServer::start(|_| Reply::metrics(PAGE.to_owned())).await.unwrap();
    let target = Target { job: "shop".into(), address: exporter.address(), labels: BTreeMap::new() };
    let prometheus = Prometheus::builder().targets([target]).start().await.unwrap();
    let client = Client::new(Options::new(prometheus.url())).unwrap();
    wait::until("some scrapes", wait::LIMIT, || async {
        let answer = client.instant("count_over_time(requests_total{code=\"200\"}[5m]) > 4", None).await?;
        Ok((!answer.value.is_empty()).then_some(()))
    })
    .await
    .unwrap();
    (prometheus, exporter)
}

/// Runs the program as `main` would; on a thread of its own, since it has a runtime of its own.
async fn validate(url: &str, spec: &Path, more: &[&str]) -> (ExitCode, String, String) {
    let mut args = vec!["slo-engine".to_owned(), "validate".into(), "-i".into(), spec.display().to_string()];
    args.extend(["--prometheus".to_owned(), url.to_owned()]);
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    tokio::task::spawn_blocking(move || {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut stdin = std::io::empty();
        let mut io = slo_engine::app::Io::plain(&mut stdin, &mut stdout, &mut stderr);
        let code = slo_engine::app::run(args, &mut io);
        (code, String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_live_server_knows_what_a_spec_cannot() {
    let (prometheus, _exporter) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("slo.yaml");
    support::write(&spec, SPEC);

    let (code, json, errors) = validate(&prometheus.url(), &spec, &["--output", "json"]).await;
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "warnings only: {json}{errors}");
    let json: Value = serde_json::from_str(&json).unwrap();
    let mut live: Vec<String> = json["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|found| {
            let code = found["code"].as_str().unwrap();
            code.starts_with("series")
                || code.contains("differs")
                || code.starts_with("errors-")
                || code.starts_with("ratio-")
                || code.starts_with("live")
        })
        .map(|found| {
            let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}: {} / {}", found["line"], text("code"), text("message"), text("help"))
        })
        .collect();
    live.sort();
    insta::assert_snapshot!(live.join("\n"));

    let costs = json["cost"].as_array().unwrap();
    let fine = costs.iter().find(|cost| cost["slo"] == "shop-fine").unwrap();
    // One series of errors, two of total, a sample a second: over 5m, 30m, 1h, 2h, 6h, 1d and 3d.
    assert_eq!(fine["series_read"], 3);
    let raw = 3.0 * 3_600.0 * (1.0 / 12.0 + 0.5 + 1.0 + 2.0 + 6.0 + 24.0 + 72.0);
    let sloth = fine["sloth"]["samples_per_round"].as_f64().unwrap();
    assert!((sloth - raw) / raw < 0.6 && sloth > raw, "{sloth}, of which raw {raw}");
    assert!(fine["lean"]["samples_per_round"].as_f64().unwrap() < sloth / 100.0, "{fine:#}");
    assert_eq!(fine["sloth"]["series_written"], 15);

    let (_, text, _) = validate(&prometheus.url(), &spec, &[]).await;
    assert!(text.contains("cost of the rules with the series that exist now:\n"), "{text}");
    assert!(text.lines().any(|line| line.trim_start().starts_with("shop-never ")), "{text}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("slo.yaml");
    support::write(&spec, SPEC);
    let closed = testbed::process::free_address().unwrap();
    let (code, _, errors) = validate(&format!("http://{closed}"), &spec, &[]).await;
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(1)));
    assert!(
        errors.starts_with(&format!("error: the live checks cannot be made: cannot reach http://{closed}")),
        "{errors}"
    );

    let other = HttpServer::start(|_| Reply::metrics("something else".to_owned())).await.unwrap();
    let (code, _, errors) = validate(&format!("http://{}", other.address()), &spec, &[]).await;
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(1)));
    assert!(errors.contains("is not what the Prometheus API gives"), "{errors}");
}
