//! The JSON Schemas know every key of the good fixtures, and what they forbid is refused.

use std::fs;
use std::path::Path;

use daemon_kit::source::Source;
use daemon_kit::yaml::{self, Limits, Node};
use serde_json::Value;
use slo_engine::spec::schema::{SCHEMAS, schema};

/// Keys of `node` that the schema does not know.
fn unknown(root: &Value, schema: &Value, node: Node<'_>, path: &str, found: &mut Vec<String>) {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        return unknown(root, target, node, path, found);
    }
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    if let Some(variant) = variants.clone().find(|variant| {
        let kind = variant.pointer("/properties/kind/const").and_then(Value::as_str);
        kind.is_some() && kind == node.get("kind").and_then(Node::text)
    }) {
        return unknown(root, variant, node, path, found);
    }
    for item in node.items() {
        unknown(root, schema.get("items").unwrap_or(&Value::Null), item, path, found);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (key, value) in node.entries().unwrap() {
        let key = key.text().unwrap();
        let path = format!("{path}/{key}");
        match properties.get(key) {
            Some(inner) => unknown(root, inner, value, &path, found),
            None if key.starts_with("x-") => {}
            None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => found.push(path),
            None => {}
        }
    }
}

fn schema_of(root: Node<'_>) -> Option<&'static str> {
    let text = |key: &str| root.get(key).and_then(Node::text);
    match (text("version"), text("apiVersion"), text("kind")) {
        (Some(_), _, _) => Some("prometheus-v1"),
        (_, Some("sloth.slok.dev/v1"), Some("PrometheusServiceLevel")) => Some("kubernetes-v1"),
        (_, Some("sloth.slok.dev/v1"), Some("AlertWindows")) => Some("alert-windows"),
        (_, Some("openslo/v1"), Some("SLO" | "SLI" | "Service" | "DataSource")) => Some("openslo-v1"),
        _ => None,
    }
}

#[test]
fn good_specs_have_only_keys_that_the_schemas_know() {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/good");
    let mut seen = std::collections::BTreeSet::new();
    let mut files: Vec<_> = fs::read_dir(&good).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.extend(fs::read_dir(good.join("openslo-v1")).unwrap().map(|entry| entry.unwrap().path()));
    for file in files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "yaml"))
    {
        // Keys in odd spellings, and what profile sloth ignores.
        if file.ends_with("coerced.yaml") || file.ends_with("sloth-own-keys.yaml") {
            continue;
        }
        let source = Source::new(file.display().to_string(), fs::read_to_string(&file).unwrap());
        for document in yaml::parse(&source, Limits::default()).unwrap() {
            let Some(name) = document.root().and_then(schema_of) else { continue };
            seen.insert(name);
            let json: Value = serde_json::from_str(schema(name).unwrap().json).unwrap();
            let mut found = Vec::new();
            unknown(&json, &json, document.root().unwrap(), "", &mut found);
            assert!(found.is_empty(), "{}: {found:?} are not in the schema {name}", file.display());
        }
    }
    assert_eq!(seen.len(), SCHEMAS.len(), "{seen:?}");
}

#[test]
fn own_keys_are_the_same_in_every_schema() {
    let keys = |name: &str, pointer: &str| {
        let json: Value = serde_json::from_str(schema(name).unwrap().json).unwrap();
        let keys = json.pointer(pointer).unwrap().as_object().unwrap().keys();
        keys.map(|key| key.trim_start_matches("backstop/").to_owned()).collect::<Vec<_>>()
    };
    let expected =
        ["no_data", "min_events", "period", "scrape_interval", "weight_query", "owner", "runbook_url"];
    assert_eq!(keys("prometheus-v1", "/definitions/backstop/properties"), expected);
    assert_eq!(keys("kubernetes-v1", "/definitions/backstop/properties"), expected);
    assert_eq!(keys("openslo-v1", "/definitions/metadata/properties/annotations/properties"), expected);
}
