//! Our optional keys: one key `backstop` that Sloth ignores, annotations `backstop/<key>` in OpenSLO.

use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::source::Span;
use daemon_kit::yaml::Node;
use slo_engine_core::{Field, NoData, OwnKeys, PromDuration, Query};

use super::reader::{Reader, TextMap};
use super::scalar::{self, Value};
use super::suggest;

/// The key that holds our keys.
pub(crate) const KEY: &str = "backstop";

/// What may stand under it.
pub(crate) const KEYS: [&str; 7] =
    ["no_data", "min_events", "period", "scrape_interval", "weight_query", "owner", "runbook_url"];

/// Own keys with their places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) keys: OwnKeys,
    pub(crate) places: Vec<(Field, Span)>,
}

/// Reads the mapping under `backstop` over what is there already (the group's keys under an SLO's).
pub(crate) fn read(reader: &mut Reader<'_>, node: Node<'_>, own: &mut Own) {
    if node.is_null() {
        return;
    }
    if !node.is_mapping() {
        reader.error("own-key", node.span(), format!("`{KEY}` must be a mapping of our optional keys"));
        return;
    }
    let Ok(entries) = node.entries() else {
        reader.error("merge-key", node.span(), "a merge key (`<<`) takes a mapping or a list of mappings");
        return;
    };
    for (key, value) in entries {
        let Some(known) = known(reader, key.text().unwrap_or_default(), key.span()) else { continue };
        match scalar::value(value) {
            Some(Value::Text(text)) => set(reader, own, known, &text, value.span()),
            Some(Value::Int(number)) if known == "min_events" => {
                set(reader, own, known, &number.to_string(), value.span());
            }
            Some(Value::Null) => {}
            _ => {
                let wanted = wanted(known);
                reader.error("own-key", value.span(), format!("`{KEY}.{known}` must be {wanted}"));
            }
        }
    }
}

/// Reads `metadata.annotations` of OpenSLO.
pub(crate) fn read_annotations(reader: &mut Reader<'_>, annotations: &TextMap, own: &mut Own) {
    for (name, text) in annotations {
        if let Some(key) = name.strip_prefix(KEY).and_then(|rest| rest.strip_prefix('/'))
            && let Some(known) = known(reader, key, text.span)
        {
            set(reader, own, known, &text.value, text.span);
        }
    }
}

fn known(reader: &mut Reader<'_>, key: &str, span: Span) -> Option<&'static str> {
    let found = KEYS.into_iter().find(|known| *known == key);
    if found.is_none() {
        let help = match suggest::nearest(key, KEYS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known keys are {}", KEYS.join(", ")),
        };
        reader.error_help("own-key", span, format!("unknown key `{key}` in `{KEY}`"), help);
    }
    found
}

fn wanted(key: &str) -> &'static str {
    match key {
        "no_data" => "ignore, good or bad",
        "min_events" => "a whole number of events",
        "period" => "a duration such as 28d",
        "scrape_interval" => "a duration such as 30s",
        "weight_query" => "a query",
        _ => "text",
    }
}

fn set(reader: &mut Reader<'_>, own: &mut Own, key: &'static str, text: &str, span: Span) {
    let refused = |reader: &mut Reader<'_>, why: String| {
        let message = format!("`{KEY}.{key}` must be {}, but is `{}`{why}", wanted(key), text.trim_end());
        reader.report(Diagnostic::error("own-key", message).at(reader.source, span));
    };
    let keys = &mut own.keys;
    match key {
        "no_data" => match text {
            "ignore" => keys.no_data = NoData::Ignore,
            "good" => keys.no_data = NoData::Good,
            "bad" => keys.no_data = NoData::Bad,
            _ => return refused(reader, String::new()),
        },
        "min_events" => match text.parse() {
            Ok(events) => keys.min_events = Some(events),
            Err(_) => return refused(reader, String::new()),
        },
        "period" | "scrape_interval" => match PromDuration::parse(text) {
            Ok(duration) if !duration.is_zero() => {
                let slot = if key == "period" { &mut keys.period } else { &mut keys.scrape_interval };
                *slot = Some(duration);
            }
            Ok(_) => return refused(reader, String::new()),
            Err(why) => return refused(reader, format!(": {why}")),
        },
        "weight_query" if !text.trim().is_empty() => keys.weight_query = Some(Query(text.to_owned())),
        "owner" if !text.trim().is_empty() => keys.owner = Some(text.trim().to_owned()),
        "runbook_url" if !text.trim().is_empty() => keys.runbook_url = Some(text.trim().to_owned()),
        _ => return refused(reader, String::new()),
    }
    let field = if key == "weight_query" { Field::WeightQuery } else { Field::Own(key) };
    own.places.retain(|(name, _)| *name != field);
    own.places.push((field, span));
}
