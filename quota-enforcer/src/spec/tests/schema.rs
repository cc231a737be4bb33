//! The JSON Schema has exactly the keys that are read, and takes the good files.

use std::collections::BTreeSet;
use std::fmt;

use daemon_kit::yaml::{self, Kind, Limits, Node, Style};
use regex_lite::Regex;
use serde::de::{self, DeserializeOwned, Visitor};
use serde_json::Value;

use super::super::file;
use super::*;

/// Stops at the struct that is asked for and tells its fields.
struct Probe;

#[derive(Debug)]
struct Fields(&'static [&'static str]);

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Fields {}

impl de::Error for Fields {
    fn custom<T: fmt::Display>(message: T) -> Self {
        panic!("{message}")
    }
}

impl<'de> de::Deserializer<'de> for Probe {
    type Error = Fields;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fields> {
        Err(Fields(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fields> {
        Err(Fields(fields))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
    let Err(Fields(fields)) = T::deserialize(Probe) else { panic!("no struct") };
    fields.iter().map(|field| (*field).to_owned()).collect()
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

#[test]
fn it_has_the_keys_that_are_read() {
    let schema = schema();
    let mut objects = 0;
    let mut same = |pointer: &str, keys: BTreeSet<String>| {
        let object = schema.pointer(pointer).unwrap();
        let properties = object["properties"].as_object().unwrap();
        assert_eq!(properties.keys().cloned().collect::<BTreeSet<_>>(), keys, "{pointer}");
        assert_eq!(object["additionalProperties"], false, "{pointer}");
        objects += 1;
    };
    same("", keys::<file::File>());
    same("/properties/prometheus", keys::<file::Prometheus>());
    same("/properties/metrics", keys::<file::Metrics>());
    same("/properties/metrics/properties/broker", keys::<file::Broker>());
    same("/properties/evidence", keys::<file::Evidence>());
    same("/properties/baseline", keys::<file::Baseline>());
    same("/properties/ledger", keys::<file::Ledger>());
    same("/properties/admin", keys::<file::Admin>());
    same("/properties/caps", keys::<file::Caps>());
    same("/definitions/names", keys::<file::Names>());
    same("/definitions/rule", keys::<file::Rule>());
    same("/definitions/rule/properties/hold", keys::<file::Hold>());
    same("/definitions/rule/properties/when", keys::<file::When>());
    same("/definitions/rule/properties/burst", keys::<file::Burst>());
    assert_eq!(objects, SCHEMA.matches("\"properties\"").count(), "an object of the schema is not compared");
}

/// What the schema has against a node.
fn validate(root: &Value, schema: &Value, node: Node<'_>, path: &str, found: &mut Vec<String>) {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        return validate(root, target, node, path, found);
    }
    let list = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
    let kind = match node.kind() {
        Kind::Mapping => "object",
        Kind::Sequence => "array",
        Kind::Scalar(text, Style::Plain) if text.parse::<f64>().is_ok() => "number",
        Kind::Scalar(..) => "string",
    };
    let types = &schema["type"];
    if !types.is_null() && types != kind && !list("type").any(|one| one == kind) {
        found.push(format!("{path}: a {kind}"));
    }
    if let Some(text) = node.text() {
        let pattern =
            schema.get("pattern").and_then(Value::as_str).map(|pattern| Regex::new(pattern).unwrap());
        if kind == "string" && pattern.is_some_and(|pattern| !pattern.is_match(text)) {
            found.push(format!("{path}: {text}"));
        }
        if schema.get("enum").is_some() && !list("enum").any(|one| one == text) {
            found.push(format!("{path}: {text}"));
        }
    }
    for item in node.items() {
        validate(root, &schema["items"], item, path, found);
    }
    for (key, value) in node.pairs() {
        let key = key.text().unwrap();
        let inner = schema["properties"].get(key).or_else(|| schema.get("additionalProperties"));
        match inner {
            Some(Value::Bool(false)) => found.push(format!("{path}/{key}")),
            Some(inner) => validate(root, inner, value, &format!("{path}/{key}"), found),
            None => {}
        }
    }
    for key in list("required").filter(|key| node.get(key.as_str().unwrap()).is_none()) {
        found.push(format!("{path}: {key} is missing"));
    }
}

fn complaints(path: &Path) -> Vec<String> {
    let documents = yaml::parse(&source(path), Limits::default()).unwrap();
    let schema = schema();
    let mut found = Vec::new();
    validate(&schema, &schema, documents[0].root().unwrap(), "", &mut found);
    found
}

#[test]
fn it_takes_the_good_files() {
    for path in good_files() {
        assert_eq!(complaints(&path), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn it_has_something_against_bad_values() {
    assert!(complaints(&here().join("testdata/bad/values.yaml")).len() >= 15);
}
