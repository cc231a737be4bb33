//! Sloth's plugins are Go source that Sloth interprets. They are not run here: whoever names one is told what to write
//! instead.

use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::source::Span;
use daemon_kit::yaml::Node;

use super::reader::{Dialect, Reader, Text, TextMap};
use super::suggest;

/// `slo_plugins` of a document or `plugins` of an SLO.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plugins {
    pub(crate) override_previous: Option<Span>,
    pub(crate) chain: Vec<Text>,
}

/// `sli.plugin`.
#[derive(Clone, Debug, Default)]
pub(crate) struct SliPlugin {
    id: Text,
    options: TextMap,
}

/// What replaces Sloth's own and contributed SLO plugins.
const SLO_PLUGINS: [(&str, &str); 11] = [
    ("sloth.dev/core/validate/v1", "every SLO is validated: remove it"),
    ("sloth.dev/core/sli_rules/v1", "the recording rules are always made: remove it"),
    ("sloth.dev/core/metadata_rules/v1", "the metadata rules are always made: remove it"),
    ("sloth.dev/core/alert_rules/v1", "the alert rules are always made: remove it"),
    ("sloth.dev/core/noop/v1", "it does nothing: remove it"),
    ("sloth.dev/core/debug/v1", "remove it; `slo-engine explain` shows what an SLO becomes"),
    (
        "sloth.dev/contrib/denominator_corrected_rules/v1",
        "remove it: profile lean weighs every window by its events, which is what the correction is for",
    ),
    (
        "sloth.dev/contrib/error_budget_exhausted_alert/v1",
        "write a Prometheus alert on `slo:period_error_budget_remaining:ratio <= 0` in a rule file of your own",
    ),
    ("sloth.dev/contrib/info_labels/v1", "put the labels under `labels`"),
    ("sloth.dev/contrib/remove_labels/v1", "remove the labels from `labels`"),
    ("sloth.dev/contrib/rule_intervals/v1", "remove it: profile lean sets the interval of every group"),
];

/// Query parts of the common SLI plugins: identifier, error series and total series.
const COMMON: [(&str, &str, &str); 12] = [
    (
        "coredns/availability",
        "coredns_dns_responses_total{rcode=~\"SERVFAIL\"}",
        "coredns_dns_responses_total{}",
    ),
    (
        "haproxy/frontend/availability",
        "haproxy_frontend_http_responses_total{code=\"5xx\"}",
        "haproxy_frontend_http_responses_total{}",
    ),
    ("istio/v1/availability", "istio_requests_total{response_code=~\"5..|429\"}", "istio_requests_total{}"),
    (
        "kubernetes/apiserver/availability",
        "apiserver_request_total{code=~\"5..|429\"}",
        "apiserver_request_total{}",
    ),
    (
        "kubernetes/apiserver/latency",
        "apiserver_request_duration_seconds_count{} - …_bucket{le=\"<bucket>\"}",
        "apiserver_request_duration_seconds_count{}",
    ),
    (
        "kubernetes/nginx-ingress/availability",
        "nginx_ingress_controller_requests{status=~\"5..|429\"}",
        "nginx_ingress_controller_requests{}",
    ),
    (
        "linkerd/v2/availability",
        "response_total{classification=\"failure\",direction=\"inbound\"}",
        "response_total{direction=\"inbound\"}",
    ),
    (
        "slok-go-http-metrics/availability",
        "http_request_duration_seconds_count{code=~\"5..|429\"}",
        "http_request_duration_seconds_count{}",
    ),
    (
        "traefik/v1/availability",
        "traefik_backend_requests_total{code=~\"5..\"}",
        "traefik_backend_requests_total{}",
    ),
    (
        "traefik/v2/availability",
        "traefik_service_requests_total{code=~\"5..\"}",
        "traefik_service_requests_total{}",
    ),
    (
        "traefik/v2/latency",
        "traefik_service_request_duration_seconds_count{} - …_bucket{le=\"<bucket>\"}",
        "traefik_service_request_duration_seconds_count{}",
    ),
    ("prometheus/targets/availability", "", ""),
];

/// Reads `slo_plugins` or `plugins`.
pub(crate) fn read(reader: &mut Reader<'_>, node: Node<'_>, plugins: &mut Plugins) {
    for (key, value) in reader.fields(node, "plugins", &["overridePrevious", "chain"]) {
        if key == "overridePrevious" {
            let set =
                reader.boolean(value, "overridePrevious").unwrap_or(plugins.override_previous.is_some());
            plugins.override_previous = set.then_some(value.span());
            continue;
        }
        plugins.chain.clear();
        for item in reader.list(value, "plugins.chain") {
            let mut id = Text { value: String::new(), span: item.span() };
            for (key, value) in reader.fields(item, "plugins.chain[]", &["id", "config", "priority"]) {
                if key == "id" {
                    id = reader.text(value, "id").unwrap_or(id);
                }
            }
            plugins.chain.push(id);
        }
    }
}

/// Refuses the plugins of an SLO; tells whether Sloth would make no rules for it.
pub(crate) fn check(reader: &mut Reader<'_>, node: Node<'_>, group: &Plugins, slo: &Plugins) -> bool {
    // An override of the SLO drops the group's chain, too. Sloth's loader of Kubernetes objects ignores the key.
    let overrides = reader.dialect == Dialect::Sloth;
    let dropped = overrides && slo.override_previous.is_some();
    let inherited: &[Text] = if dropped { &[] } else { &group.chain };
    for id in inherited.iter().chain(&slo.chain) {
        let message = format!("the SLO plugin `{}` is Go source for Sloth and is not run here", id.value);
        let known = SLO_PLUGINS.iter().find(|(known, _)| *known == id.value);
        let help = known.map_or_else(
            || "remove it; what it adds to the rules goes into a Prometheus rule file of its own".to_owned(),
            |(_, help)| (*help).to_owned(),
        );
        reader.error_help("slo-plugin", id.span, message, help);
    }
    let Some(span) = slo.override_previous.or(group.override_previous).filter(|_| overrides) else {
        return false;
    };
    let empty = inherited.is_empty() && slo.chain.is_empty();
    if empty {
        let message = "`overridePrevious` without a `chain` drops every rule of this SLO in Sloth";
        let warning = Diagnostic::warning("slo-plugin", message)
            .at(reader.source, span)
            .help("remove `overridePrevious`");
        let span = node.pairs().next().map_or(node.span(), |(key, _)| key.span());
        let shared = slo.override_previous.is_none();
        reader.report(if shared { warning.related(reader.source, span, "this SLO") } else { warning });
    }
    empty
}

/// Reads `sli.plugin`.
pub(crate) fn read_sli(reader: &mut Reader<'_>, node: Node<'_>, plugin: &mut SliPlugin) {
    for (key, value) in reader.fields(node, "sli.plugin", &["id", "options"]) {
        if key == "id" {
            plugin.id = reader.text(value, "sli.plugin.id").unwrap_or_default();
        } else {
            reader.texts(value, "sli.plugin.options", &mut plugin.options);
        }
    }
}

/// Says what to write instead of an SLI plugin.
pub(crate) fn refuse_sli(reader: &mut Reader<'_>, plugin: &SliPlugin, sli: Span) {
    let id = &plugin.id.value;
    let span = if *id == String::new() { sli } else { plugin.id.span };
    let message = format!("the SLI plugin `{id}` is Go source for Sloth and is not run here");
    let common = id.strip_prefix("sloth-common/");
    let help = match common.and_then(|id| COMMON.iter().find(|(known, ..)| *known == id)) {
        Some(("prometheus/targets/availability", ..)) => {
            "write it as `events`: error_query `sum(count_over_time((up{…} == 0)[{{.window}}:1m]))`, total_query \
             `sum(count_over_time(up{…}[{{.window}}:1m]))`"
                .to_owned()
        }
        Some((_, error, total)) => {
            let filter = plugin.options.get("filter").map(|text| text.value.trim_matches(['{', '}', ',']));
            let filter = filter.filter(|filter| !filter.is_empty());
            let with = |series: &str| match filter {
                Some(filter) => series.replace("{}", &format!("{{{filter}}}")).replacen(
                    "{",
                    &format!("{{{}", if series.contains("{}") { String::new() } else { format!("{filter},") }),
                    1,
                ),
                None => series.replace("{}", ""),
            };
            let wrapped = |series: &str| {
                let parts: Vec<String> =
                    with(series).split(" - ").map(|part| format!("sum(rate({part}[{{{{.window}}}}]))")).collect();
                parts.join(" - ")
            };
            format!(
                "write it as `events`: error_query `{}`, total_query `{}`; the plugin's other options are matchers to add",
                wrapped(error),
                wrapped(total),
            )
        }
        None => {
            let mut help = "write the query that it returns as `raw` with `error_ratio_query`, or better as `events`".to_owned();
            if let Some(near) = common.and_then(|id| suggest::nearest(id, COMMON.iter().map(|(known, ..)| *known))) {
                help.push_str(&format!(" (is `sloth-common/{near}` meant?)"));
            }
            help
        }
    };
    reader.error_help("sli-plugin", span, message, help);
}
