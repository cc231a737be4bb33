//! Sloth's own formats: `prometheus/v1` and the Kubernetes object `PrometheusServiceLevel`, which differ in the spelling
//! of keys and in what may be text.

use std::collections::BTreeMap;
use std::sync::Arc;

use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::source::Span;
use daemon_kit::yaml::Node;
use slo_engine_core::{AlertMeta, Field, Query, Sli, Slo, SpecKind, Tier};

use super::own::{self, Own};
use super::places::{LocatedSlo, Places, TIERS};
use super::plugins::{self, Plugins, SliPlugin};
use super::reader::{Dialect, Reader, Text, TextMap};
use super::{LoadOptions, Loaded, Object};

/// What all SLOs of a document share.
#[derive(Default)]
struct Group {
    service: Text,
    labels: TextMap,
    plugins: Plugins,
    own: Own,
}

/// An SLO as written.
#[derive(Default)]
struct RawSlo {
    name: Text,
    description: String,
    objective: Option<(f64, Span)>,
    labels: TextMap,
    plugins: Plugins,
    sli: RawSli,
    sli_span: Option<Span>,
    alerting: RawAlerting,
    alerting_span: Option<Span>,
}

#[derive(Default)]
struct RawSli {
    raw: Option<Text>,
    events: Option<(Text, Text)>,
    plugin: Option<SliPlugin>,
}

#[derive(Default)]
struct RawAlerting {
    name: Text,
    labels: TextMap,
    annotations: TextMap,
    page: RawAlert,
    ticket: RawAlert,
}

#[derive(Default)]
struct RawAlert {
    disable: bool,
    labels: TextMap,
    annotations: TextMap,
    span: Option<Span>,
}

const SLO_KEYS: [&str; 8] =
    ["name", "description", "objective", "labels", "plugins", "sli", "alerting", own::KEY];

/// Reads a `prometheus/v1` document.
pub(crate) fn prometheus(root: Node<'_>, options: &LoadOptions, loaded: &mut Loaded) {
    let document = root.document();
    let mut diagnostics = Vec::new();
    let mut reader = Reader::new(document.source(), Dialect::Sloth, &mut diagnostics);
    let keys = ["version", "service", "labels", "slo_plugins", "slos", own::KEY];
    let fields = reader.fields(root, "spec", &keys);
    let object = Object {
        spec: SpecKind::PrometheusV1,
        source: document.source().clone(),
        document: document.index(),
        name: String::new(),
        namespace: String::new(),
        labels: BTreeMap::new(),
        annotations: None,
    };
    group(&mut reader, root, fields, object, options, loaded);
    loaded.diagnostics.append(&mut diagnostics);
}

/// Reads a `PrometheusServiceLevel`.
pub(crate) fn kubernetes(root: Node<'_>, options: &LoadOptions, loaded: &mut Loaded) {
    let document = root.document();
    let mut diagnostics = Vec::new();
    let mut reader = Reader::new(document.source(), Dialect::Kubernetes, &mut diagnostics);
    let mut object = Object {
        spec: SpecKind::KubernetesV1,
        source: document.source().clone(),
        document: document.index(),
        name: String::new(),
        namespace: String::new(),
        labels: BTreeMap::new(),
        annotations: None,
    };
    let mut spec = None;
    for (key, value) in reader.fields(root, "object", &["api_version", "kind", "metadata", "spec", "status"])
    {
        match key {
            "metadata" => metadata(&mut reader, value, &mut object),
            "spec" => spec = Some(value),
            _ => {}
        }
    }
    let fields = match spec {
        Some(spec) => reader.fields(spec, "spec", &["service", "labels", "slo_plugins", "slos", own::KEY]),
        None => Vec::new(),
    };
    group(&mut reader, spec.unwrap_or(root), fields, object, options, loaded);
    loaded.diagnostics.append(&mut diagnostics);
}

/// `metadata` of a Kubernetes object; keys that the API server sets are known and of no interest.
fn metadata(reader: &mut Reader<'_>, node: Node<'_>, object: &mut Object) {
    let keys = [
        "name",
        "namespace",
        "labels",
        "annotations",
        "generate_name",
        "uid",
        "resource_version",
        "generation",
        "creation_timestamp",
        "deletion_timestamp",
        "deletion_grace_period_seconds",
        "owner_references",
        "finalizers",
        "managed_fields",
        "self_link",
    ];
    for (key, value) in reader.fields(node, "metadata", &keys) {
        match key {
            "name" => object.name = reader.text(value, "metadata.name").unwrap_or_default().value,
            "namespace" => {
                object.namespace = reader.text(value, "metadata.namespace").unwrap_or_default().value
            }
            "annotations" if value.is_null() => object.annotations = None,
            "labels" | "annotations" => {
                let mut texts = TextMap::new();
                reader.texts(value, &format!("metadata.{key}"), &mut texts);
                let plain = texts.into_iter().map(|(name, text)| (name, text.value)).collect();
                if key == "labels" {
                    object.labels = plain;
                } else {
                    object.annotations = Some(plain);
                }
            }
            _ => {}
        }
    }
}

fn group(
    reader: &mut Reader<'_>,
    node: Node<'_>,
    fields: Vec<(&'static str, Node<'_>)>,
    mut object: Object,
    options: &LoadOptions,
    loaded: &mut Loaded,
) {
    let mut group = Group::default();
    let mut slos = None;
    let mut own_ignored = None;
    for (key, value) in fields {
        match key {
            "service" => group.service = reader.text(value, "service").unwrap_or_default(),
            "labels" => reader.texts(value, "labels", &mut group.labels),
            "slo_plugins" => plugins::read(reader, value, &mut group.plugins),
            "slos" => slos = Some(value),
            own::KEY if options.sloth => own_ignored = Some(value.span()),
            own::KEY => own::read(reader, value, &mut group.own),
            _ => {}
        }
    }
    // What is wrong with the group is wrong with each of its SLOs.
    let usable = reader.errors == 0;
    let items = slos.map(|slos| reader.list(slos, "slos")).unwrap_or_default();
    if items.is_empty() && reader.errors == 0 {
        let span = slos.map_or_else(|| first_line(node), Node::span);
        reader.error("no-slos", span, "at least one SLO is required");
    }
    if object.name.is_empty() && object.spec == SpecKind::PrometheusV1 {
        object.name.clone_from(&group.service.value);
    }
    let shared: Arc<[(Field, Span)]> = shared_places(&group).into();
    let index = loaded.objects.len();
    loaded.objects.push(object);
    for item in items {
        let before = reader.errors;
        let (raw, own) = slo(reader, item, &group, options, &mut own_ignored);
        let broken = reader.errors != before;
        let located = lower(reader, item, &group, raw, own, options, index, &shared, broken);
        if usable && reader.errors == before {
            loaded.slos.extend(located);
        }
    }
    if let Some(span) = own_ignored {
        let note = Diagnostic::note("own-key", format!("`{}` is ignored in profile sloth", own::KEY));
        reader.report(note.at(reader.source, span));
    }
}

/// Where a mapping begins, without underlining all of it.
fn first_line(node: Node<'_>) -> Span {
    let span = node.span();
    node.pairs().next().map_or(span, |(key, _)| key.span())
}

fn shared_places(group: &Group) -> Vec<(Field, Span)> {
    let mut places = group.own.places.clone();
    if group.service != Text::default() {
        places.push((Field::Service, group.service.span));
    }
    places.extend(group.labels.iter().map(|(key, text)| (Field::Label(key.clone()), text.span)));
    places
}

fn slo(
    reader: &mut Reader<'_>,
    node: Node<'_>,
    group: &Group,
    options: &LoadOptions,
    own_ignored: &mut Option<Span>,
) -> (RawSlo, Own) {
    let mut slo = RawSlo::default();
    let mut own = Own { keys: group.own.keys.clone(), places: Vec::new() };
    for (key, value) in reader.fields(node, "slos[]", &SLO_KEYS) {
        match key {
            "name" => slo.name = reader.text(value, "name").unwrap_or_default(),
            "description" => slo.description = reader.text(value, "description").unwrap_or_default().value,
            "objective" => {
                slo.objective = reader.number(value, "objective").map(|number| (number, value.span()));
            }
            "labels" => reader.texts(value, "labels", &mut slo.labels),
            "plugins" => plugins::read(reader, value, &mut slo.plugins),
            "sli" => {
                slo.sli_span = Some(first_line(value));
                sli(reader, value, &mut slo.sli);
            }
            "alerting" => {
                slo.alerting_span = Some(first_line(value));
                alerting(reader, value, &mut slo.alerting);
            }
            own::KEY if options.sloth => *own_ignored = own_ignored.or(Some(value.span())),
            own::KEY => own::read(reader, value, &mut own),
            _ => {}
        }
    }
    (slo, own)
}

fn sli(reader: &mut Reader<'_>, node: Node<'_>, sli: &mut RawSli) {
    for (key, value) in reader.fields(node, "sli", &["raw", "events", "plugin"]) {
        match key {
            // Null takes back what another spelling of the key said.
            "raw" if value.is_null() => sli.raw = None,
            "events" if value.is_null() => sli.events = None,
            "plugin" if value.is_null() => sli.plugin = None,
            "raw" => {
                let raw = sli.raw.get_or_insert_default();
                for (_, value) in reader.fields(value, "sli.raw", &["error_ratio_query"]) {
                    *raw = reader.text(value, "error_ratio_query").unwrap_or_default();
                }
            }
            "events" => {
                let (error, total) = sli.events.get_or_insert_default();
                for (key, value) in reader.fields(value, "sli.events", &["error_query", "total_query"]) {
                    let query = reader.text(value, key).unwrap_or_default();
                    *(if key == "error_query" { &mut *error } else { &mut *total }) = query;
                }
            }
            _ => plugins::read_sli(reader, value, sli.plugin.get_or_insert_default()),
        }
    }
}

fn alerting(reader: &mut Reader<'_>, node: Node<'_>, alerting: &mut RawAlerting) {
    for (key, value) in
        reader.fields(node, "alerting", &["name", "labels", "annotations", "page_alert", "ticket_alert"])
    {
        match key {
            "name" => alerting.name = reader.text(value, "alerting.name").unwrap_or_default(),
            "labels" => reader.texts(value, "alerting.labels", &mut alerting.labels),
            "annotations" => reader.texts(value, "alerting.annotations", &mut alerting.annotations),
            _ => {
                let alert = if key == "page_alert" { &mut alerting.page } else { &mut alerting.ticket };
                alert.span = Some(first_line(value));
                let what = reader.camel(key);
                for (key, value) in reader.fields(value, &what, &["disable", "labels", "annotations"]) {
                    let inner = format!("{what}.{key}");
                    match key {
                        "disable" => alert.disable = reader.boolean(value, &inner).unwrap_or(alert.disable),
                        "labels" => reader.texts(value, &inner, &mut alert.labels),
                        _ => reader.texts(value, &inner, &mut alert.annotations),
                    }
                }
            }
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "what a document, a group and an SLO know")]
fn lower(
    reader: &mut Reader<'_>,
    node: Node<'_>,
    group: &Group,
    raw: RawSlo,
    own: Own,
    options: &LoadOptions,
    object: usize,
    shared: &Arc<[(Field, Span)]>,
    broken: bool,
) -> Option<LocatedSlo> {
    let mut places = own.places;
    let mut place = |field: Field, span: Span| places.push((field, span));
    if raw.name != Text::default() {
        place(Field::Name, raw.name.span);
    }
    if let Some((_, span)) = raw.objective {
        place(Field::Objective, span);
    }
    if let Some(span) = raw.sli_span {
        place(Field::Sli, span);
    }
    if let Some(span) = raw.alerting_span {
        place(Field::Alerting, span);
    }
    for (key, text) in &raw.labels {
        place(Field::Label(key.clone()), text.span);
    }
    let no_rules = plugins::check(reader, node, &group.plugins, &raw.plugins);
    let sli = indicator(reader, &raw, node, no_rules || broken, &mut place);
    let alerting = raw.alerting;
    if alerting.name != Text::default() {
        place(Field::AlertName, alerting.name.span);
    }
    let mut alerts = TIERS.map(|tier| {
        let alert = if tier == Tier::Page { &alerting.page } else { &alerting.ticket };
        if let Some(span) = alert.span {
            place(Field::Alert(tier), span);
        }
        if alert.disable {
            return None;
        }
        let mut merged = |common: &TextMap, special: &TextMap, field: fn(Tier, String) -> Field| {
            let mut plain = BTreeMap::new();
            for (key, text) in common.iter().filter(|(key, _)| !special.contains_key(*key)).chain(special) {
                place(field(tier, key.clone()), text.span);
                plain.insert(key.clone(), text.value.clone());
            }
            plain
        };
        Some(AlertMeta {
            name: alerting.name.value.clone(),
            labels: merged(&alerting.labels, &alert.labels, Field::AlertLabel),
            annotations: merged(&alerting.annotations, &alert.annotations, Field::AlertAnnotation),
        })
    });
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    labels.extend(group.labels.iter().map(|(key, text)| (key.clone(), text.value.clone())));
    labels.extend(raw.labels.into_iter().map(|(key, text)| (key, text.value)));
    labels.extend(options.extra_labels.iter().map(|(key, value)| (key.clone(), value.clone())));
    let slo = Slo {
        id: format!("{}-{}", group.service.value, raw.name.value),
        name: raw.name.value,
        service: group.service.value.clone(),
        description: raw.description,
        objective: raw.objective.map_or(0.0, |(number, _)| number),
        period: own.keys.period.unwrap_or(options.default_period),
        labels,
        sli: sli?,
        page: alerts.first_mut().and_then(Option::take),
        ticket: alerts.last_mut().and_then(Option::take),
        spec: if reader.dialect == Dialect::Kubernetes {
            SpecKind::KubernetesV1
        } else {
            SpecKind::PrometheusV1
        },
        own: own.keys,
    };
    let places = Places { slo: first_line(node), own: places.into(), shared: Arc::clone(shared) };
    Some(LocatedSlo {
        slo,
        places,
        source: reader.source.clone(),
        document: node.document().index(),
        object,
        no_rules,
        verbatim: true,
    })
}

/// The indicator; exactly one kind must be written.
fn indicator(
    reader: &mut Reader<'_>,
    raw: &RawSlo,
    node: Node<'_>,
    unused: bool,
    place: &mut impl FnMut(Field, Span),
) -> Option<Sli> {
    let span = raw.sli_span.unwrap_or_else(|| first_line(node));
    if let Some(plugin) = &raw.sli.plugin {
        plugins::refuse_sli(reader, plugin, span);
        return None;
    }
    match (&raw.sli.events, &raw.sli.raw) {
        (Some((error, total)), None) => {
            for (field, query) in [(Field::ErrorQuery, error), (Field::TotalQuery, total)] {
                if *query != Text::default() {
                    place(field, query.span);
                }
            }
            Some(Sli::Events { error: Query(error.value.clone()), total: Query(total.value.clone()) })
        }
        (None, Some(ratio)) => {
            if *ratio != Text::default() {
                place(Field::RatioQuery, ratio.span);
            }
            Some(Sli::Raw { error_ratio: Query(ratio.value.clone()) })
        }
        // Nobody looks at it: the SLO gets no rules, or an error was told already.
        _ if unused => Some(Sli::Raw { error_ratio: Query(String::new()) }),
        (Some(_), Some(_)) => {
            reader.error("sli-type", span, "an SLO has one indicator: either `events` or `raw`, not both");
            None
        }
        (None, None) => {
            let help = "write `events` with an error and a total query, or `raw` with an error ratio query";
            reader.error_help("sli-type", span, "the SLO has no indicator (`sli`)", help);
            None
        }
    }
}
