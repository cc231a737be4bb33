//! The whole way with real servers: specs, rules, Prometheus, Alertmanager, pager. The windows are short ones
//! (`examples/shop/windows`), the rules are the same otherwise.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::bed::Options;
use testbed::shop::Change;
use testbed::wait::{self, LIMIT};
use testbed::{Bed, Notification, Prometheus, demo, programs};

/// Nothing takes this long unless it is broken; a busy machine is no failure.
/// The promise that the tests break.
const BROKEN: &str = "checkout-availability";
/// All promises of the shop.
const ALL: [&str; 5] = [
    "catalogue-availability",
    "checkout-availability",
    "checkout-latency",
    "payments-availability",
    "search-latency",
];

#[tokio::test]
async fn lean_pages_and_resolves_on_real_servers() {
    outage("lean").await;
}

#[tokio::test]
async fn sloth_pages_and_resolves_on_real_servers() {
    outage("sloth").await;
}

/// What `make demo ONCE=1` shows. It fails by itself when the page or its end does not arrive, or somebody else is paged.
#[tokio::test]
async fn the_demo_tells_its_story() {
    let args = demo::Args {
        slo_engine: PathBuf::from(env!("CARGO_BIN_EXE_slo-engine")),
        specs: root().join("examples/shop/slos"),
        windows: root().join("examples/shop/windows"),
        alertmanager_config: root().join("examples/alertmanager.yml"),
        profile: "lean".to_owned(),
        once: true,
    };
    demo::run(&args).await.unwrap();
}

async fn outage(profile: &str) {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yml");
    generate(profile, &[], &rules);
    promtool(&rules);
    let config = fs::read_to_string(root().join("examples/alertmanager.yml")).unwrap();
    let options =
        Options { rules: vec![rules], alertmanager: config, interval: Duration::from_secs(2), seed: 7 };
    let bed = Bed::start(&options).await.unwrap();
    let prometheus = &bed.prometheus;
    if let Ok(amtool) = programs::amtool() {
        programs::run(&amtool, ["check-config".as_ref(), bed.alertmanager.config().as_os_str()]).unwrap();
    }

    assert_eq!(prometheus.evaluated(LIMIT).await.unwrap(), Vec::<String>::new(), "rules in error");
    // Once the ticket's quick pair can be judged, page and ticket are due at the same time.
    for window in ["30s", "2m"] {
        recorded(prometheus, &format!("slo:sli_error:ratio_rate{window}{{sloth_id=\"{BROKEN}\"}}")).await;
    }
    healthy(profile, prometheus).await;
    assert_eq!(bed.receiver.notifications(), [], "nobody is told anything while the shop is well");

    bed.shop.change(&Change::errors("checkout", 0.5)).unwrap();
    let page = told(&bed, "page", true).await;
    assert_eq!(page.labels, labels("page"));
    assert_eq!(page.annotations["summary"], "Orders fail");
    assert_eq!(
        page.annotations["title"],
        "(page) checkout availability SLO error budget burn rate is too fast."
    );
    inhibited(&bed).await;
    assert_eq!(bed.receiver.notifications().len(), 1, "one problem, one call");
    recorded(prometheus, &format!("slo:current_burn_rate:ratio{{sloth_id=\"{BROKEN}\"}} > 14.4 <= 1000"))
        .await;
    finite(profile, prometheus).await;

    bed.shop.change(&Change::recovery("checkout")).unwrap();
    let end = told(&bed, "page", false).await;
    assert_eq!(end.labels, labels("page"));
    // The ticket's windows are longer: it outlives the page, and is no longer held back by it.
    let ticket = told(&bed, "ticket", true).await;
    assert_eq!(ticket.labels, labels("ticket"));
    told(&bed, "ticket", false).await;
    finite(profile, prometheus).await;

    // The ticket may go out before the word that the page has ended, so only each tier's order is certain.
    let mut all: Vec<_> = bed.receiver.notifications().iter().map(summary).collect();
    all.sort();
    let expected = [("page", "firing"), ("page", "resolved"), ("ticket", "firing"), ("ticket", "resolved")];
    let expected = expected.map(|(tier, status)| (BROKEN.to_owned(), tier.to_owned(), status.to_owned()));
    assert_eq!(all, expected, "exactly these notifications");
    let fired = prometheus
        .query("count by (sloth_id) (count_over_time(ALERTS{alertstate=\"firing\"}[1h]))")
        .await
        .unwrap();
    let fired: Vec<_> = fired.iter().map(|sample| sample.labels["sloth_id"].as_str()).collect();
    assert_eq!(fired, [BROKEN], "a healthy promise beside a broken one never alerts");
}

/// The rules of the shop's specs, written by the real binary.
fn generate(profile: &str, flags: &[&str], output: &Path) {
    let input = root().join("examples/shop/slos");
    let windows = root().join("examples/shop/windows");
    let mut arguments = vec!["generate", "--profile", profile, "--default-slo-period", "1h"];
    let (input, windows, output) =
        (input.to_str().unwrap(), windows.to_str().unwrap(), output.to_str().unwrap());
    arguments.extend(["--slo-period-windows-path", windows, "-i", input, "-o", output]);
    arguments.extend(flags);
    programs::run(Path::new(env!("CARGO_BIN_EXE_slo-engine")), arguments).unwrap();
}

fn promtool(rules: &Path) {
    let promtool = programs::promtool().unwrap();
    programs::run(&promtool, ["check".as_ref(), "rules".as_ref(), rules.as_os_str()]).unwrap();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All labels that an alert about the broken promise has: Sloth's, the SLO's and the alert's own.
fn labels(tier: &str) -> BTreeMap<String, String> {
    let pairs = [
        ("alertname", "CheckoutAvailability"),
        ("category", "availability"),
        ("severity", tier),
        ("sloth_id", BROKEN),
        ("sloth_service", "checkout"),
        ("sloth_severity", tier),
        ("sloth_slo", "availability"),
        ("team", "shop"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn summary(notification: &Notification) -> (String, String, String) {
    let label = |name| notification.label(name).to_owned();
    (label("sloth_id"), label("sloth_severity"), notification.status.clone())
}

/// Waits for the notification that an alert of this tier began or ended.
async fn told(bed: &Bed, tier: &str, firing: bool) -> Notification {
    let what = format!("the {tier} to {}", if firing { "fire" } else { "end" });
    let wanted = |one: &Notification| {
        one.label("sloth_id") == BROKEN && one.label("sloth_severity") == tier && one.is_firing() == firing
    };
    bed.receiver.wait_for(&what, LIMIT, wanted).await.unwrap()
}

/// Waits until Alertmanager knows the ticket and holds it back because of the page.
async fn inhibited(bed: &Bed) {
    wait::until("the page to inhibit the ticket", LIMIT, || async {
        let alerts = bed.alertmanager.alerts().await?;
        let held_back = alerts.iter().any(|alert| {
            alert["labels"]["sloth_severity"] == "ticket"
                && alert["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty())
        });
        Ok(held_back.then_some(()))
    })
    .await
    .unwrap();
}

async fn recorded(prometheus: &Prometheus, series: &str) {
    let probe = || async { Ok(prometheus.value(series).await?.map(drop)) };
    wait::until(series, LIMIT, probe).await.unwrap();
}

/// Every promise is measured, and kept. Sloth's rules see nothing of a service without an error series.
async fn healthy(profile: &str, prometheus: &Prometheus) {
    for id in ALL {
        let rate = format!("slo:current_burn_rate:ratio{{sloth_id=\"{id}\"}}");
        if profile == "sloth" && id == "payments-availability" {
            assert_eq!(prometheus.value(&rate).await.unwrap(), None, "{id}");
            continue;
        }
        recorded(prometheus, &rate).await;
        let rate = prometheus.value(&rate).await.unwrap();
        assert!(rate.is_some_and(|rate| rate < 14.4), "{id} burns at {rate:?}");
    }
    finite(profile, prometheus).await;
}

/// Profile lean never records NaN or an infinity.
async fn finite(profile: &str, prometheus: &Prometheus) {
    if profile == "sloth" {
        return;
    }
    let all = prometheus.query("{__name__=~\"slo:.+|sloth_.+\"}").await.unwrap();
    assert!(!all.is_empty());
    for sample in all {
        assert!(sample.value.is_finite(), "{:?} is {}", sample.labels, sample.value);
    }
}
