//! The client against servers that misbehave, and against a real one.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod fake;
mod real;

use fake::{Fake, Reply};

fn client(fake: &Fake) -> Client {
    Client::new(options(fake)).unwrap()
}

fn options(fake: &Fake) -> Options {
    let mut options = Options::new(fake.url());
    options.timeout = Duration::from_secs(20);
    options.retries = Retries { attempts: 2, base: Duration::from_millis(1), cap: Duration::from_millis(2) };
    options
}

const ONE: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;

#[tokio::test]
async fn values_are_numbers_and_times_milliseconds() {
    let fake = Fake::new(|_, _| {
        Reply::ok(
            r#"{"status":"success","warnings":["partial"],"infos":["odd name"],"data":{"resultType":"matrix","result":[
              {"metric":{"__name__":"x","a":"é\u0000\""},"values":[[1435781430.781,"1"],[1435781431,"NaN"],[-1.5,"+Inf"],[0,"-Inf"],[1,"1e-05"]],"new":{}},
              {"metric":{},"histograms":[[1,{"count":"3","sum":"1","buckets":[[0,"1","2","3"]]}]]}]}}"#,
        )
    })
    .await;
    let answer = client(&fake).range("x", 0, 1, 1).await.unwrap();
    assert_eq!(answer.warnings, ["partial", "odd name"]);
    let [series, histogram] = answer.value.as_slice() else { panic!("{answer:?}") };
    assert_eq!(series.labels.get("a").unwrap(), "é\0\"");
    let times: Vec<i64> = series.samples.iter().map(|sample| sample.at_ms).collect();
    assert_eq!(times, [1_435_781_430_781, 1_435_781_431_000, -1_500, 0, 1_000]);
    let values: Vec<String> = series.samples.iter().map(|sample| sample.value.to_string()).collect();
    assert_eq!(values, ["1", "NaN", "inf", "-inf", "0.00001"]);
    assert_eq!((histogram.samples.len(), histogram.histograms), (0, 1));

    let mut each = Vec::new();
    let read = client(&fake).instant_each("x", None, |series| each.push(series)).await.unwrap();
    assert_eq!((read.warnings, each.len()), (answer.warnings.clone(), 2));
    assert!(each[0].labels == series.labels && each[0].samples.len() == 5 && each[1] == *histogram);
}

#[tokio::test]
async fn queries_are_posted_and_fall_back_to_get() {
    let fake = Fake::new(|_, request| match request.starts_with("POST") {
        true => Reply::status(405, "no"),
        false => Reply::ok(ONE),
    })
    .await;
    let answer = client(&fake).range("up{a=\"b&c\"}", 1_500, 61_500, 30_000).await.unwrap();
    assert_eq!(answer.value.first().unwrap().last(), Some(1.0));
    let requests = fake.requests();
    assert!(requests[0].starts_with("POST /prefix/api/v1/query_range HTTP/1.1"), "{requests:?}");
    let form = "query=up%7Ba%3D%22b%26c%22%7D&start=1.500&end=61.500&step=30.000&timeout=20000ms";
    assert!(requests[0].ends_with(form), "{requests:?}");
    assert!(
        requests[1].starts_with(&format!("GET /prefix/api/v1/query_range?{form} HTTP/1.1")),
        "{requests:?}"
    );
}

#[tokio::test]
async fn headers_are_sent_but_never_shown() {
    let fake = Fake::new(|_, _| Reply::status(401, "who are you")).await;
    let mut options = options(&fake);
    options.auth = Auth::Bearer(Secret::new("hunter2"));
    options.tenant = Some("team-a".into());
    options.headers.push(("X-Key".into(), Secret::new("hunter3")));
    let client = Client::new(options).unwrap();
    let error = client.instant("up", None).await.unwrap_err();
    let sent = fake.requests().join("\n").to_lowercase();
    for header in ["authorization: bearer hunter2", "x-scope-orgid: team-a", "x-key: hunter3"] {
        assert!(sent.contains(header), "{sent}");
    }
    assert!(!format!("{client:?} {error:?} {error}").contains("hunter"));
    assert!(
        error.to_string().ends_with("HTTP status 401 (credentials missing or refused): who are you"),
        "{error}"
    );
    assert_eq!(fake.requests().len(), 1, "a refusal is final");
}

#[tokio::test]
async fn transient_failures_are_tried_again_a_bounded_number_of_times() {
    let fake = Fake::new(|count, _| if count < 2 { Reply::status(503, "") } else { Reply::ok(ONE) }).await;
    client(&fake).instant("1", None).await.unwrap();
    assert_eq!(fake.requests().len(), 3);

    for reply in
        [Reply::status(502, "<html>"), Reply::status(429, ""), Reply::Close, Reply::Raw("garbage".into())]
    {
        let given = reply.clone();
        let fake = Fake::new(move |_, _| given.clone()).await;
        let error = client(&fake).instant("1", None).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        assert_eq!(fake.requests().len(), 3, "{reply:?}");
    }
}

#[tokio::test]
async fn a_query_that_failed_is_not_repeated() {
    for (status, kind) in [(400, "bad_data"), (422, "execution"), (503, "timeout"), (503, "canceled")] {
        let body =
            format!(r#"{{"status":"error","errorType":"{kind}","error":"line one\nline\ttwo \u001b[31m"}}"#);
        let fake = Fake::new(move |_, _| Reply::status(status, &body)).await;
        let error = client(&fake).instant("1", None).await.unwrap_err();
        let Error::Api { status: seen, kind: said, message, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*seen, said.as_str(), message.as_str()), (status, kind, "line one line two [31m"));
        assert_eq!(fake.requests().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_stalling_server_times_out() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":";
    for reply in [Reply::Stall, Reply::RawThenStall(half.into())] {
        let fake = Fake::new(move |_, _| reply.clone()).await;
        let mut options = options(&fake);
        options.timeout = Duration::from_millis(50);
        let error = Client::new(options).unwrap().instant("1", None).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        // None where the machine was so busy that time was over before it was sent.
        assert!(fake.requests().len() <= 1, "{:?}", fake.requests().len());
    }
}

#[tokio::test]
async fn a_truncated_answer_is_no_answer() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"sta\r\n",
    ] {
        let fake = Fake::new(move |_, _| Reply::Raw(reply.into())).await;
        let error = client(&fake).instant("1", None).await.unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn size_is_limited_with_and_without_a_length() {
    let long = "x".repeat(5_000);
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n{long}\r\n0\r\n\r\n");
    for reply in [Reply::ok(&long), Reply::Raw(chunked)] {
        let fake = Fake::new(move |_, _| reply.clone()).await;
        let mut options = options(&fake);
        options.max_bytes = 4_999;
        let error = Client::new(options).unwrap().instant("1", None).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 4_999, .. }), "{error:?}");
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn another_shape_is_malformed() {
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "<html>",
        r#"{"status":"success"}"#,
        r#"{"status":"maybe","data":{}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[1,"1"]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"one"]}]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,2]}]}}"#,
        r#"{"status":"success","data":{"resultType":"scalar","result":[1]}}"#,
        r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#,
        r#"{"status":"success","data":{"resultType":"tensor","result":[]}}"#,
    ] {
        let fake = Fake::new(move |_, _| Reply::ok(body)).await;
        let error = client(&fake).instant("1", None).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{body}: {error:?}");
        let error = client(&fake).instant_each("1", None, drop).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{body}: {error:?}");
    }
    let scalar = Fake::new(|_, _| Reply::ok(ONE)).await;
    let error = client(&scalar).instant_each("1", None, drop).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    let deep = format!(r#"{{"status":"success","data":{}"#, "[".repeat(100_000));
    let fake = Fake::new(move |_, _| Reply::ok(&deep)).await;
    assert!(matches!(client(&fake).series(&["up"], 0, 1).await, Err(Error::Malformed { .. })));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let fake = Fake::new(|_, _| {
        Reply::Raw("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".into())
    })
    .await;
    let error = client(&fake).instant("1", None).await.unwrap_err();
    assert!(error.to_string().contains("302 (a redirect"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut options = Options::new(format!("http://bob:hunter2@{address}"));
    options.retries.attempts = 0;
    let error = Client::new(options).unwrap().instant("1", None).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("cannot reach http://{address}"));
    assert!(!format!("{error:?}").contains("hunter"));
}

#[test]
fn files_in_the_options_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new("https://h");
    options.ca_file = Some(dir.path().join("missing.pem"));
    assert!(matches!(Client::new(options.clone()), Err(Error::File { what: "certificate authority", .. })));
    let empty = tempfile::NamedTempFile::new().unwrap();
    options.ca_file = Some(empty.path().to_owned());
    assert!(matches!(Client::new(options), Err(Error::Options(_))));
    assert!(matches!(Secret::from_file("token", empty.path()), Err(Error::Options(_))));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(serde_json::from_slice::<decode::Envelope<decode::QueryData>>(&bytes));
    }

    #[test]
    fn any_result_decodes_or_fails_without_a_panic(
        kind in "vector|matrix|scalar|string", result in r#"(\[|\]|\{|\}|,|:|"metric"|"value"|"values"|"1"|1|-1e999|null){0,20}"#
    ) {
        let text = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[{result}]}}}}"#);
        let whole = serde_json::from_str::<decode::Envelope<decode::QueryData>>(&text);
        let whole = whole.ok().and_then(|envelope| envelope.data?.into_series().ok());
        let mut each = Vec::new();
        // A scalar is a series only where all is read at once.
        if decode::each_series(text.as_bytes(), &mut |series| each.push(series)).is_ok() {
            prop_assert_eq!(whole.map(|series| series.len()), Some(each.len()));
        }
    }
}
