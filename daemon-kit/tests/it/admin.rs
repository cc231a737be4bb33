use daemon_kit::admin::{Request, Response, Routes, StatusCode};

use crate::support::{Running, build, call, get, options, raw, write};

fn routes() -> Routes {
    Routes::new()
        .get("/api/v1/items", |request: Request| async move {
            Response::json(StatusCode::OK, &[request.value("name"), request.value("other")])
        })
        .post("/api/v1/items", |_| async { Response::text(StatusCode::OK, "changed") })
}

#[tokio::test]
async fn every_daemon_has_probes_and_metrics() {
    let runtime = build(options());
    let readiness = runtime.readiness();
    let first = readiness.handle("first pass");
    let fresh = readiness.condition("samples");
    let running = Running::start(runtime);

    let live = get(running.address, "/live").await;
    assert_eq!((live.status, live.body.as_str()), (200, "alive\n"));
    let waiting = get(running.address, "/ready").await;
    assert_eq!((waiting.status, waiting.body.as_str()), (503, "not ready\nwaiting for first pass\n"));
    drop(first);
    assert_eq!(get(running.address, "/ready").await.status, 200);
    fresh.fails("5 minutes old");
    let stale = get(running.address, "/ready").await;
    assert_eq!((stale.status, stale.body.as_str()), (503, "not ready\nsamples: 5 minutes old\n"));

    let metrics = get(running.address, "/metrics").await;
    let content_type = metrics.header("content-type").unwrap();
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(metrics.body.ends_with("# EOF\n"), "{}", metrics.body);
    for line in
        ["kit_test_build_info{version=\"0.0.1\"} 1", "ready 0", "ready_condition{condition=\"samples\"} 0"]
    {
        assert!(metrics.body.lines().any(|found| found == line), "{line} in {}", metrics.body);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_daemon_adds_routes_of_its_own() {
    let mut runtime = build(options());
    runtime.routes(routes());
    let running = Running::start(runtime);
    let item = get(running.address, "/api/v1/items?name=a%2Fb+c").await;
    assert_eq!((item.status, item.body.as_str()), (200, r#"["a/b c",null]"#));
    assert_eq!(item.header("content-type"), Some("application/json"));
    assert_eq!(item.header("cache-control"), Some("no-store"));

    let head = call(running.address, "HEAD", "/api/v1/items", None).await;
    assert_eq!((head.status, head.body.as_str(), head.header("content-length")), (200, "", Some("11")));
    let put = call(running.address, "PUT", "/api/v1/items", None).await;
    assert_eq!((put.status, put.header("allow")), (405, Some("get, head, post")));
    let live = call(running.address, "POST", "/live", None).await;
    assert_eq!((live.status, live.header("allow")), (405, Some("get, head")));
    for path in ["/", "/api/v1/items/", "/api/v1/items/a", "/metrics/x"] {
        assert_eq!(get(running.address, path).await.status, 404, "{path}");
    }
    let reload = call(running.address, "POST", "/-/reload", None).await;
    assert_eq!(reload.status, 404, "there is no configuration");
    assert_eq!(raw(running.address, "nonsense\r\n\r\n").await.status, 400);
    running.stop().await;
}

#[tokio::test]
async fn without_a_token_file_nothing_can_be_changed() {
    let mut runtime = build(options());
    runtime.routes(routes());
    let running = Running::start(runtime);
    let refused = call(running.address, "POST", "/api/v1/items", Some("guess")).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("no token file is configured"), "{}", refused.body);
    running.stop().await;
}

#[tokio::test]
async fn changes_need_the_token_of_the_file_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    write(&file, "first-token\n");
    let mut options = options();
    options.token_file = Some(file.clone());
    let mut runtime = build(options);
    runtime.routes(routes());
    let running = Running::start(runtime);
    let address = running.address;
    let long = "x".repeat(5_000);
    let post = async |token| call(address, "POST", "/api/v1/items", token).await;

    let missing = post(None).await;
    assert_eq!((missing.status, missing.header("www-authenticate")), (401, Some("bearer")));
    for wrong in ["", "first-toke", "first-token2", "First-token", "first-token first-token"] {
        assert_eq!(post(Some(wrong)).await.status, 401, "{wrong:?}");
    }
    assert_eq!(post(Some("first-token")).await.status, 200);
    let basic = "POST /api/v1/items HTTP/1.1\r\nhost: x\r\nauthorization: Basic first-token\r\nconnection: close\r\n\r\n";
    assert_eq!(raw(address, basic).await.status, 401);
    assert_eq!(get(address, "/api/v1/items").await.status, 200, "reading needs none");

    write(&file, "second-token");
    assert_eq!(post(Some("first-token")).await.status, 401);
    assert_eq!(post(Some("second-token")).await.status, 200);
    write(&file, " \n");
    assert_eq!(post(Some("")).await.status, 503, "an empty file is no token");
    write(&file, &long);
    assert_eq!(post(Some(&long)).await.status, 503);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(post(Some("second-token")).await.status, 503);
    running.stop().await;
}
