//! OpenSLO `openslo/v1`: SLOs whose indicators may stand in other documents and files.
//!
//! OpenSLO's queries name no window. How they become queries with one is told in [`queries`]. What cannot be had with
//! event counting over a rolling window (calendar windows, time slices, composites) is an error.

mod indicator;
mod queries;
mod references;

use std::collections::BTreeMap;
use std::sync::Arc;

use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::source::Span;
use daemon_kit::yaml::Node;
use slo_engine_core::{Field, PromDuration, Slo, SpecKind};

use super::own::{self, Own};
use super::places::{LocatedSlo, Places};
use super::reader::{Dialect, Reader, Text, TextMap};
use super::{LoadOptions, Loaded, Object, scalar, suggest};

use indicator::Indicator;
pub use references::References;

/// An SLO object as written.
#[derive(Default)]
struct Spec<'d> {
    name: Text,
    labels: BTreeMap<String, String>,
    annotations: TextMap,
    service: Text,
    description: String,
    indicator: Option<Indicator>,
    period: Option<(PromDuration, Span)>,
    objectives: Vec<Node<'d>>,
}

/// Checks an object that is not an SLO; its content was collected by [`References`] before.
pub(crate) fn check_sli(root: Node<'_>, loaded: &mut Loaded) {
    let mut reader = Reader::new(root.document().source(), Dialect::OpenSlo, &mut loaded.diagnostics);
    indicator::read_object(&mut reader, root);
}

/// Reads an SLO object.
pub(crate) fn load(root: Node<'_>, options: &LoadOptions, references: &References, loaded: &mut Loaded) {
    let document = root.document();
    let mut diagnostics = Vec::new();
    let mut reader = Reader::new(document.source(), Dialect::OpenSlo, &mut diagnostics);
    let spec = read(&mut reader, root, references);
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
        spec: SpecKind::OpenSloV1,
        source: document.source().clone(),
        document: document.index(),
        name: spec.name.value.clone(),
        namespace: String::new(),
        labels: spec.labels.clone(),
        annotations: None,
    });
    let mut labels = spec.labels.clone();
    labels.extend(options.extra_labels.iter().map(|(key, value)| (key.clone(), value.clone())));
    for (index, node) in spec.objectives.iter().enumerate() {
        let before = reader.errors;
        let objective = objective(&mut reader, *node);
        let mut places = Vec::new();
        if let Some(span) = objective.target_span {
            places.push((Field::Objective, span));
        }
        let sli = spec.indicator.as_ref().and_then(|indicator| {
            queries::sli(&mut reader, indicator, &objective, head(*node), options.subquery_step, &mut places)
        });
        let Some(sli) = sli else { continue };
        if !usable || reader.errors != before {
            continue;
        }
        // The first keeps the plain name, so that a second objective does not break the history of the first.
        let name = if index == 0 { spec.name.value.clone() } else { format!("{}-{index}", spec.name.value) };
        let slo = Slo {
            id: format!("{}-{name}", spec.service.value),
            name,
            service: spec.service.value.clone(),
            description: spec.description.clone(),
            objective: objective.percent,
            period: own
                .keys
                .period
                .or(spec.period.map(|(period, _)| period))
                .unwrap_or(options.default_period),
            labels: labels.clone(),
            sli,
            page: None,
            ticket: None,
            spec: SpecKind::OpenSloV1,
            own: own.keys.clone(),
        };
        loaded.slos.push(LocatedSlo {
            slo,
            places: Places { slo: head(*node), own: places.into(), shared: Arc::clone(&shared) },
            source: document.source().clone(),
            document: document.index(),
            object,
            no_rules: false,
            verbatim: false,
        });
    }
    loaded.diagnostics.append(&mut diagnostics);
}

/// Where a mapping begins, without underlining all of it.
fn head(node: Node<'_>) -> Span {
    node.pairs().next().map_or(node.span(), |(key, _)| key.span())
}

fn read<'d>(reader: &mut Reader<'_>, root: Node<'d>, references: &References) -> Spec<'d> {
    let mut spec = Spec::default();
    for (key, value) in reader.fields(root, "object", &["api_version", "kind", "metadata", "spec"]) {
        match key {
            "metadata" => metadata(reader, value, &mut spec),
            "spec" => body(reader, value, references, &mut spec),
            _ => {}
        }
    }
    for (text, what) in [(&spec.name, "metadata.name"), (&spec.service, "spec.service")] {
        if text.value.is_empty() {
            reader.error("openslo-required", head(root), format!("`{what}` is required"));
        }
    }
    references.check_service(reader, &spec.service);
    spec
}

fn metadata(reader: &mut Reader<'_>, node: Node<'_>, spec: &mut Spec<'_>) {
    for (key, value) in reader.fields(node, "metadata", &["name", "display_name", "labels", "annotations"]) {
        match key {
            "name" => spec.name = reader.text(value, "metadata.name").unwrap_or_default(),
            "annotations" => reader.texts(value, "metadata.annotations", &mut spec.annotations),
            "labels" => {
                for (key, value) in value.pairs() {
                    let name = key.text().unwrap_or_default();
                    // OpenSLO allows a list of values, and names that Prometheus 2 does not.
                    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                    match value.text().filter(|_| fits && !value.is_null()) {
                        Some(text) => {
                            spec.labels.insert(name.to_owned(), text.to_owned());
                        }
                        None => {
                            let message =
                                format!("label `{name}` cannot be a Prometheus label and is left out");
                            reader.report(
                                Diagnostic::note("openslo-label", message).at(reader.source, key.span()),
                            );
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

fn body<'d>(reader: &mut Reader<'_>, node: Node<'d>, references: &References, spec: &mut Spec<'d>) {
    let keys = [
        "description",
        "service",
        "indicator",
        "indicator_ref",
        "time_window",
        "budgeting_method",
        "objectives",
        "alert_policies",
    ];
    let before = reader.errors;
    let mut indicators = 0;
    for (key, value) in reader.fields(node, "spec", &keys) {
        match key {
            "description" => spec.description = reader.text(value, "description").unwrap_or_default().value,
            "service" => spec.service = reader.text(value, "service").unwrap_or_default(),
            "indicator" => {
                indicators += 1;
                spec.indicator = indicator::read_object(reader, value);
            }
            "indicator_ref" => {
                indicators += 1;
                if let Some(name) = reader.text(value, "indicatorRef") {
                    spec.indicator = references.indicator(reader, &name);
                }
            }
            "time_window" => spec.period = time_window(reader, value),
            "budgeting_method" => budgeting_method(reader, value),
            "objectives" => spec.objectives = reader.list(value, "objectives"),
            _ if value.items().next().is_none() => {}
            _ => {
                let message =
                    "alert policies are not supported: the rules record the SLO, but nothing alerts";
                reader.report(Diagnostic::warning("openslo-alerts", message).at(reader.source, value.span()));
            }
        }
    }
    if indicators != 1 && reader.errors == before {
        let message = "an SLO needs exactly one of `indicator` and `indicatorRef`";
        reader.error_help(
            "sli-type",
            head(node),
            message,
            "indicators of objectives (composites) are not supported",
        );
    }
}

fn budgeting_method(reader: &mut Reader<'_>, node: Node<'_>) {
    let Some(method) = reader.text(node, "budgetingMethod") else { return };
    let message = match method.value.as_str() {
        "Occurrences" => return,
        "Timeslices" | "RatioTimeslices" => {
            format!("the budgeting method `{}` is not supported, events are counted", method.value)
        }
        other => {
            let mut message = format!("unknown budgeting method `{other}`");
            if suggest::nearest(other, ["Occurrences"]).is_some() {
                message.push_str(", did you mean `Occurrences`?");
            }
            message
        }
    };
    reader.error_help("budgeting-method", method.span, message, "write `budgetingMethod: Occurrences`");
}

fn time_window(reader: &mut Reader<'_>, node: Node<'_>) -> Option<(PromDuration, Span)> {
    let windows = reader.list(node, "timeWindow");
    if windows.len() > 1 {
        reader.error("time-window", node.span(), "only one time window is supported");
        return None;
    }
    let window = *windows.first()?;
    let (mut duration, mut rolling, mut calendar) = (None, None, None);
    for (key, value) in reader.fields(window, "timeWindow[]", &["duration", "is_rolling", "calendar"]) {
        match key {
            "duration" => duration = reader.text(value, "duration"),
            "is_rolling" => {
                rolling = reader.boolean(value, "isRolling").map(|rolling| (rolling, value.span()))
            }
            _ => calendar = (!value.is_null()).then(|| value.span()),
        }
    }
    let fixed = rolling.filter(|(rolling, _)| !rolling).map(|(_, span)| span);
    if let Some(span) = fixed.or(calendar) {
        let help = "write `isRolling: true` and a `duration` such as 30d, without `calendar`";
        reader.error_help("time-window", span, "calendar time windows are not supported", help);
        return None;
    }
    let Some(text) = duration else {
        reader.error("time-window", window.span(), "the time window has no `duration`");
        return None;
    };
    match PromDuration::parse(&text.value) {
        Ok(period) if !period.is_zero() => Some((period, text.span)),
        _ => {
            let message = format!("`{}` is no duration of a rolling window", text.value);
            let help = "write it in weeks, days or hours, such as 4w or 30d; months, quarters and years vary in length";
            reader.error_help("time-window", text.span, message, help);
            None
        }
    }
}

/// One objective of an SLO object.
#[derive(Default)]
pub(crate) struct Objective {
    percent: f64,
    target_span: Option<Span>,
    op: Option<Text>,
    value: Option<(f64, Span)>,
}

fn objective(reader: &mut Reader<'_>, node: Node<'_>) -> Objective {
    let mut objective = Objective::default();
    let before = reader.errors;
    let keys = [
        "display_name",
        "op",
        "value",
        "target",
        "target_percent",
        "time_slice_target",
        "time_slice_window",
        "indicator",
        "indicator_ref",
        "composite_weight",
    ];
    let mut targets = 0;
    for (key, value) in reader.fields(node, "objectives[]", &keys) {
        match key {
            "op" => objective.op = reader.text(value, "op"),
            "value" => objective.value = reader.number(value, "value").map(|number| (number, value.span())),
            "target" | "target_percent" => {
                let Some(number) = reader.number(value, key) else { continue };
                targets += 1;
                objective.percent = if key == "target" { number * 100.0 } else { number };
                objective.target_span = Some(value.span());
            }
            "time_slice_target" | "time_slice_window" => {
                let message = format!("`{}` has no meaning where events are counted", reader.camel(key));
                reader
                    .report(Diagnostic::warning("budgeting-method", message).at(reader.source, value.span()));
            }
            "indicator" | "indicator_ref" | "composite_weight" if !value.is_null() => {
                reader.error("openslo-composite", value.span(), "composite SLOs are not supported");
            }
            _ => {}
        }
    }
    if targets != 1 && reader.errors == before {
        let message = "an objective needs exactly one of `target` and `targetPercent`";
        reader.error_help("objective", head(node), message, "write `target: 0.999` or `targetPercent: 99.9`");
    }
    objective
}

/// The scalar's text, for keys whose value may be any scalar.
fn any_text(node: Node<'_>) -> Option<&str> {
    match scalar::value(node)? {
        scalar::Value::Null => None,
        _ => node.text(),
    }
}
