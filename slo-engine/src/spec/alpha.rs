//! OpenSLO `openslo/v1alpha`, as Sloth reads it: every objective of an object becomes an SLO without alerts.

use std::collections::BTreeMap;
use std::sync::Arc;

use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::source::Span;
use daemon_kit::yaml::Node;
use slo_engine_core::{Field, PromDuration, Query, Sli, Slo, SpecKind};

use super::own::{self, Own};
use super::places::{LocatedSlo, Places};
use super::reader::{Dialect, Reader, Text, TextMap};
use super::{LoadOptions, Loaded, Object};

#[derive(Default)]
struct Spec<'d> {
    name: Text,
    annotations: TextMap,
    service: Text,
    description: String,
    period: Option<(PromDuration, Span)>,
    objectives: Vec<Node<'d>>,
}

/// A query with where it comes from.
#[derive(Default)]
struct Metric {
    source: Text,
    query_type: Text,
    query: Text,
}

/// Reads one object.
pub(crate) fn load(root: Node<'_>, options: &LoadOptions, loaded: &mut Loaded) {
    let document = root.document();
    let mut diagnostics = Vec::new();
    let mut reader = Reader::new(document.source(), Dialect::OpenSlo, &mut diagnostics);
    let spec = read(&mut reader, root);
    let mut own = Own::default();
    if !options.sloth {
        own::read_annotations(&mut reader, &spec.annotations, &mut own);
    }
    let usable = reader.errors == 0;
    if usable && spec.objectives.is_empty() {
        reader.error(
            "no-slos",
            root.get("spec").map_or(root.span(), head),
            "at least one objective is required",
        );
    }
    let mut shared = own.places.clone();
    shared.push((Field::Service, spec.service.span));
    shared.push((Field::Name, spec.name.span));
    if let Some((_, span)) = spec.period {
        shared.push((Field::Period, span));
    }
    let shared: Arc<[(Field, Span)]> = shared.into();
    let object = loaded.objects.len();
    loaded.objects.push(Object {
        spec: SpecKind::OpenSloV1Alpha,
        source: document.source().clone(),
        document: document.index(),
        name: spec.name.value.clone(),
        namespace: String::new(),
        labels: BTreeMap::new(),
        annotations: None,
    });
    for (index, node) in spec.objectives.iter().enumerate() {
        let before = reader.errors;
        let mut places = Vec::new();
        let (target, sli) = objective(&mut reader, *node, &mut places);
        let (Some(target), Some(sli)) = (target, sli) else { continue };
        if !usable || reader.errors != before {
            continue;
        }
        let period =
            own.keys.period.or(spec.period.map(|(period, _)| period)).unwrap_or(options.default_period);
        let slo = Slo {
            id: format!("{}-{}-{index}", spec.service.value, spec.name.value),
            name: format!("{}-{index}", spec.name.value),
            service: spec.service.value.clone(),
            description: spec.description.clone(),
            objective: target * 100.0,
            period,
            labels: options.extra_labels.clone(),
            sli,
            page: None,
            ticket: None,
            spec: SpecKind::OpenSloV1Alpha,
            own: own.keys.clone(),
        };
        loaded.slos.push(LocatedSlo {
            slo,
            places: Places { slo: head(*node), own: places.into(), shared: Arc::clone(&shared) },
            source: document.source().clone(),
            document: document.index(),
            object,
            no_rules: false,
            verbatim: true,
        });
    }
    loaded.diagnostics.append(&mut diagnostics);
}

/// Where a mapping begins, without underlining all of it.
fn head(node: Node<'_>) -> Span {
    node.pairs().next().map_or(node.span(), |(key, _)| key.span())
}

fn read<'d>(reader: &mut Reader<'_>, root: Node<'d>) -> Spec<'d> {
    let mut spec = Spec::default();
    for (key, value) in reader.fields(root, "object", &["api_version", "kind", "metadata", "spec"]) {
        match key {
            "metadata" => {
                for (key, value) in
                    reader.fields(value, "metadata", &["name", "display_name", "labels", "annotations"])
                {
                    match key {
                        "name" => spec.name = reader.text(value, "metadata.name").unwrap_or_default(),
                        "annotations" => reader.texts(value, "metadata.annotations", &mut spec.annotations),
                        _ => {}
                    }
                }
            }
            "spec" => {
                let keys =
                    ["time_windows", "budgeting_method", "description", "indicator", "service", "objectives"];
                for (key, value) in reader.fields(value, "spec", &keys) {
                    match key {
                        "service" => spec.service = reader.text(value, "service").unwrap_or_default(),
                        "description" => {
                            spec.description = reader.text(value, "description").unwrap_or_default().value;
                        }
                        "time_windows" => spec.period = time_window(reader, value),
                        "objectives" => spec.objectives = reader.list(value, "objectives"),
                        "budgeting_method" => {
                            if let Some(method) = reader.text(value, "budgetingMethod")
                                && method.value != "Occurrences"
                            {
                                let message = format!(
                                    "budgeting method `{}` is ignored, events are counted",
                                    method.value
                                );
                                reader.report(
                                    Diagnostic::warning("budgeting-method", message)
                                        .at(reader.source, method.span),
                                );
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    spec
}

fn time_window(reader: &mut Reader<'_>, node: Node<'_>) -> Option<(PromDuration, Span)> {
    let windows = reader.list(node, "timeWindows");
    if windows.len() > 1 {
        reader.error("time-window", node.span(), "only one time window is supported");
        return None;
    }
    let window = *windows.first()?;
    let (mut unit, mut count) = (Text { value: String::new(), span: window.span() }, 0.0);
    for (key, value) in reader.fields(window, "timeWindows[]", &["unit", "count", "is_rolling", "calendar"]) {
        match key {
            "unit" => unit = reader.text(value, "unit").unwrap_or(unit),
            "count" => count = reader.number(value, "count").unwrap_or(count),
            _ => {}
        }
    }
    if !unit.value.eq_ignore_ascii_case("day") {
        reader.error_help(
            "time-window",
            unit.span,
            "only time windows in days are supported",
            "write `unit: Day`",
        );
        return None;
    }
    // Go cuts the fraction off.
    let days = count.trunc();
    if !(1.0..=36_500.0).contains(&days) {
        reader.error("time-window", window.span(), "the time window must be at least one day");
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 36,500")]
    let days = days as u64;
    Some((PromDuration::from_days(days), window.span()))
}

fn objective(
    reader: &mut Reader<'_>,
    node: Node<'_>,
    places: &mut Vec<(Field, Span)>,
) -> (Option<f64>, Option<Sli>) {
    let mut target = None;
    let mut metrics = None;
    let before = reader.errors;
    let keys = ["display_name", "value", "ratio_metrics", "target", "time_slice_target", "op"];
    for (key, value) in reader.fields(node, "objectives[]", &keys) {
        match key {
            "target" => {
                target = reader.number(value, "target");
                places.push((Field::Objective, value.span()));
            }
            "ratio_metrics" if !value.is_null() => {
                places.push((Field::Sli, head(value)));
                metrics = Some((ratio(reader, value), value));
            }
            _ => {}
        }
    }
    if target.is_none() && reader.errors == before {
        reader.error_help("objective", head(node), "the objective has no `target`", "write `target: 0.999`");
    }
    let Some(((good, total), at)) = metrics else {
        if reader.errors == before {
            reader.error("sli-type", head(node), "the objective has no `ratioMetrics`");
        }
        return (target, None);
    };
    let prometheus = |source: &str| matches!(source, "prometheus" | "sloth");
    // Sloth takes any source of `total` when that of `good` is `sloth`.
    let checks = [
        (prometheus(&good.source.value), "good", &good),
        (total.source.value == "prometheus" || good.source.value == "sloth", "total", &total),
    ];
    for (source_ok, name, metric) in checks {
        let span = |text: &Text| if *text == Text::default() { head(at) } else { text.span };
        if !source_ok {
            let message = format!("`{name}` needs the source `prometheus` (or `sloth`)");
            reader.error("openslo-source", span(&metric.source), message);
        }
        if metric.query_type.value != "promql" {
            let message = format!("`{name}` needs the query type `promql`");
            reader.error("openslo-source", span(&metric.query_type), message);
        }
    }
    places.push((Field::GoodQuery, good.query.span));
    places.push((Field::TotalQuery, total.query.span));
    (target, Some(Sli::GoodTotal { good: Query(good.query.value), total: Query(total.query.value) }))
}

fn ratio(reader: &mut Reader<'_>, node: Node<'_>) -> (Metric, Metric) {
    let (mut good, mut total) = (Metric::default(), Metric::default());
    for (key, value) in reader.fields(node, "ratioMetrics", &["good", "total", "counter"]) {
        let metric = match key {
            "good" => &mut good,
            "total" => &mut total,
            _ => continue,
        };
        for (field, value) in reader.fields(value, key, &["source", "query_type", "query"]) {
            let text = reader.text(value, field).unwrap_or_default();
            *(match field {
                "source" => &mut metric.source,
                "query_type" => &mut metric.query_type,
                _ => &mut metric.query,
            }) = text;
        }
    }
    (good, total)
}
