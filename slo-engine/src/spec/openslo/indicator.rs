//! Indicators (kind `SLI`, or written inside an SLO).

use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::yaml::Node;

use super::super::reader::{Reader, Text};
use super::{any_text, head};

/// What is measured.
#[derive(Clone, Debug)]
pub(crate) struct Indicator {
    pub(super) metric: Metric,
    /// It stands in another source than the SLO, so that its places mean nothing there.
    pub(super) foreign: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Metric {
    GoodTotal { good: Query, total: Query, counter: bool },
    BadTotal { bad: Query, total: Query, counter: bool },
    Raw { query: Query, success: bool },
    Threshold { query: Query },
}

/// A query as written, and the name of the data source it is for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(super) text: Text,
    pub(super) source: Option<Text>,
}

impl Indicator {
    pub(super) fn queries(&self) -> Vec<&Query> {
        match &self.metric {
            Metric::GoodTotal { good, total, .. } => vec![good, total],
            Metric::BadTotal { bad, total, .. } => vec![bad, total],
            Metric::Raw { query, .. } | Metric::Threshold { query } => vec![query],
        }
    }
}

/// Reads an SLI object, or `indicator` of an SLO, which has the same shape without version and kind.
pub(super) fn read_object(reader: &mut Reader<'_>, node: Node<'_>) -> Option<Indicator> {
    let mut indicator = None;
    let before = reader.errors;
    for (key, value) in reader.fields(node, "indicator", &["api_version", "kind", "metadata", "spec"]) {
        if key == "spec" {
            indicator = read(reader, value);
        }
    }
    if indicator.is_none() && reader.errors == before {
        reader.error("sli-type", head(node), "the indicator has no `spec`");
    }
    indicator
}

fn read(reader: &mut Reader<'_>, node: Node<'_>) -> Option<Indicator> {
    let before = reader.errors;
    let mut metrics = Vec::new();
    for (key, value) in
        reader.fields(node, "indicator.spec", &["description", "threshold_metric", "ratio_metric"])
    {
        match key {
            "threshold_metric" => {
                let query = query(reader, value, "thresholdMetric")?;
                metrics.push(Metric::Threshold { query });
            }
            "ratio_metric" => metrics.push(ratio(reader, value)?),
            _ => {}
        }
    }
    let only = if metrics.len() == 1 { metrics.pop() } else { None };
    if only.is_none() && reader.errors == before {
        reader.error(
            "sli-type",
            head(node),
            "an indicator needs exactly one of `ratioMetric` and `thresholdMetric`",
        );
    }
    only.map(|metric| Indicator { metric, foreign: false })
}

fn ratio(reader: &mut Reader<'_>, node: Node<'_>) -> Option<Metric> {
    let before = reader.errors;
    let (mut counter, mut raw_type) = (None, None);
    let (mut good, mut bad, mut total, mut raw) = (None, None, None, None);
    for (key, value) in
        reader.fields(node, "ratioMetric", &["counter", "good", "bad", "total", "raw_type", "raw"])
    {
        match key {
            "counter" => counter = reader.boolean(value, "counter"),
            "raw_type" => raw_type = reader.text(value, "rawType"),
            "good" => good = query(reader, value, "good"),
            "bad" => bad = query(reader, value, "bad"),
            "total" => total = query(reader, value, "total"),
            _ => raw = query(reader, value, "raw"),
        }
    }
    if reader.errors != before {
        return None;
    }
    let counter_of = |reader: &mut Reader<'_>| {
        counter.unwrap_or_else(|| {
            let note =
                "`counter` is not written: the queries are taken for gauges, whose samples are added up";
            reader.report(
                Diagnostic::warning("openslo-counter", note)
                    .at(reader.source, head(node))
                    .help("write `counter: true` when the metrics only ever grow"),
            );
            false
        })
    };
    match (good, bad, total, raw) {
        (Some(good), None, Some(total), None) => {
            Some(Metric::GoodTotal { good, total, counter: counter_of(reader) })
        }
        (None, Some(bad), Some(total), None) => {
            Some(Metric::BadTotal { bad, total, counter: counter_of(reader) })
        }
        (None, None, None, Some(query)) => {
            let success = match raw_type.as_ref().map(|text| text.value.as_str()) {
                Some("success") => true,
                Some("failure") => false,
                _ => {
                    let span = raw_type.map_or(head(node), |text| text.span);
                    let help = "write `rawType: success` when 1 is good, `rawType: failure` when 1 is bad";
                    reader.error_help("openslo-raw", span, "`raw` needs a `rawType`", help);
                    return None;
                }
            };
            Some(Metric::Raw { query, success })
        }
        _ => {
            let message =
                "a ratio metric is `good` with `total`, or `bad` with `total`, or `raw` with `rawType`";
            reader.error("sli-type", head(node), message);
            None
        }
    }
}

/// Reads `{metricSource: {metricSourceRef, type, spec: {query}}}`.
fn query(reader: &mut Reader<'_>, node: Node<'_>, what: &str) -> Option<Query> {
    let before = reader.errors;
    let mut query = Query::default();
    let mut found = false;
    for (_, value) in reader.fields(node, what, &["metric_source"]) {
        for (key, value) in reader.fields(value, "metricSource", &["metric_source_ref", "type", "spec"]) {
            match key {
                "metric_source_ref" => query.source = reader.text(value, "metricSourceRef"),
                "type" => {
                    if let Some(kind) =
                        any_text(value).filter(|kind| !kind.eq_ignore_ascii_case("prometheus"))
                    {
                        let message = format!("metric sources of type `{kind}` are not supported");
                        reader.error_help(
                            "openslo-source",
                            value.span(),
                            message,
                            "write `type: Prometheus`",
                        );
                    }
                }
                _ => {
                    let keys = ["query", "promql", "query_type"];
                    for (key, value) in reader.fields(value, "metricSource.spec", &keys) {
                        if key != "query_type" {
                            query.text = reader.text(value, key).unwrap_or_default();
                            found = !query.text.value.trim().is_empty();
                        }
                    }
                }
            }
        }
    }
    if !found && reader.errors == before {
        let help = "write `metricSource: {type: Prometheus, spec: {query: …}}`";
        reader.error_help("openslo-query", head(node), format!("`{what}` has no query"), help);
    }
    (reader.errors == before).then_some(query)
}
