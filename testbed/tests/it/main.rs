//! The bed with real servers.

#[cfg(feature = "kafka")]
mod kafka;

use testbed::programs;
use testbed::shop::Change;
use testbed::wait::{self, LIMIT};
use testbed::{Alertmanager, Prometheus, Receiver, Shop, files};

const RULES: &str = "
groups:
- name: shop
  interval: 1s
  rules:
  - record: shop:errors:ratio_rate30s
    expr: sum by (service) (rate(http_requests_total{code='500'}[30s])) / sum by (service) (rate(http_requests_total[30s]))
  - alert: ShopIsBroken
    expr: shop:errors:ratio_rate30s > 0.1
    labels: {severity: page}
    annotations: {summary: '{{ $labels.service }} is broken'}
";

fn alertmanager_config(receiver: &Receiver) -> String {
    format!(
        "route: {{receiver: page, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: page, webhook_configs: [{{url: '{}', send_resolved: true}}]}}]\n",
        receiver.url("page")
    )
}

/// Simulator, Prometheus, Alertmanager and receiver work together: an outage arrives as a notification, and so does its end.
#[tokio::test]
async fn an_outage_travels_from_the_shop_to_the_receiver_and_back_to_health() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yml");
    files::write(&rules, RULES).unwrap();
    let shop = Shop::start(1).await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    let alertmanager = Alertmanager::start(&alertmanager_config(&receiver)).await.unwrap();
    let prometheus = Prometheus::builder()
        .targets(shop.targets())
        .rules(&rules)
        .alertmanager(alertmanager.address())
        .start()
        .await
        .unwrap();

    assert_eq!(prometheus.evaluated(LIMIT).await.unwrap(), Vec::<String>::new());
    let up = || async { Ok((prometheus.value("sum(up)").await? == Some(9.0)).then_some(())) };
    wait::until("nine instances to be up", LIMIT, up).await.unwrap();

    shop.change(&Change::errors("search", 0.5)).unwrap();
    let page = receiver.wait_for("the page", LIMIT, |n| n.is_firing()).await.unwrap();
    assert_eq!(page.label("alertname"), "ShopIsBroken");
    assert_eq!(page.label("service"), "search");
    assert_eq!(page.annotations["summary"], "search is broken");
    assert_eq!(page.path, "/page");

    shop.change(&Change::recovery("search")).unwrap();
    let end = receiver.wait_for("its end", LIMIT, |n| !n.is_firing()).await.unwrap();
    assert_eq!((end.label("service"), end.status.as_str()), ("search", "resolved"));
    let others = receiver.notifications().into_iter().filter(|n| n.label("service") != "search").count();
    assert_eq!(others, 0, "nothing else");
}

#[tokio::test]
async fn a_prometheus_keeps_its_data_over_a_stop_and_says_what_is_wrong_with_its_rules() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let shop = Shop::start(1).await.unwrap();
    let builder = Prometheus::builder().targets(shop.targets()).data(&data);
    let mut first = builder.clone().start().await.unwrap();
    let seen = || async { Ok((first.value("sum(up)").await? == Some(9.0)).then_some(())) };
    wait::until("nine instances to be up", LIMIT, seen).await.unwrap();
    let port = first.address().port();
    first.stop();

    let second = builder.clone().port(port).start().await.unwrap();
    assert_eq!(second.address().port(), port);
    // Look back far enough to find what the first one scraped.
    assert!(second.value("count(last_over_time(up[1h]))").await.unwrap().is_some_and(|count| count >= 9.0));

    let rules = folder.path().join("rules.yml");
    files::write(&rules, "groups: [{name: a, rules: [{record: b, expr: 'sum('}]}]").unwrap();
    let error = builder.data(folder.path().join("other")).rules(&rules).start().await.unwrap_err();
    assert!(format!("{error:#}").contains("parse error"), "{error:#}");
    let promtool = programs::promtool().unwrap();
    assert!(programs::run(&promtool, ["check".as_ref(), "rules".as_ref(), rules.as_os_str()]).is_err());
}
