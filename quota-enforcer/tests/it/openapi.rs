//! `openapi.yaml`, and whether values are what it says.

use daemon_kit::config;
use daemon_kit::source::Source;
use serde_json::Value;

/// The file.
pub(crate) struct Document(Value);

impl Document {
    pub(crate) fn read() -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        Self(
            config::load(&Source::new("openapi.yaml", text))
                .map_err(|errors| errors[0].message.clone())
                .unwrap(),
        )
    }

    /// `GET /path`, sorted.
    pub(crate) fn operations(&self) -> Vec<String> {
        let paths = self.0["paths"].as_object().unwrap();
        let mut operations: Vec<String> = paths
            .iter()
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        operations.sort();
        operations
    }

    /// Checks an answer; `Err` says where it differs.
    pub(crate) fn check(
        &self,
        method: &str,
        path: &str,
        status: u16,
        kind: &str,
        body: &[u8],
    ) -> Result<(), String> {
        let operation = &self.0["paths"][path][method];
        let answer = self.resolve(&operation["responses"][status.to_string()]);
        let content = answer["content"].as_object().ok_or(format!("{status} is not in the file"))?;
        let (_, content) = content
            .iter()
            .find(|(known, _)| kind.starts_with(known.as_str()))
            .ok_or(format!("{kind} is not in the file"))?;
        let value = if kind.starts_with("text/") {
            Value::from(String::from_utf8_lossy(body).into_owned())
        } else {
            serde_json::from_slice(body).map_err(|error| error.to_string())?
        };
        self.matches(&content["schema"], &value, "")
    }

    /// The schema of a request's body.
    pub(crate) fn request(&self, path: &str) -> &Value {
        &self.0["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(place) => {
                let found = self.0.pointer(place.trim_start_matches('#'));
                self.resolve(found.unwrap_or_else(|| panic!("{place} is not in the file")))
            }
            None => schema,
        }
    }

    /// What JSON Schema 2020-12 says, as far as the file uses it. Stricter in one thing: a field that is not described is an
    /// error.
    pub(crate) fn matches(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = self.resolve(schema);
        for keyword in schema.as_object().into_iter().flat_map(|object| object.keys()) {
            let known = [
                "type",
                "description",
                "enum",
                "const",
                "oneOf",
                "items",
                "properties",
                "required",
                "additionalProperties",
                "examples",
                "minimum",
                "maximum",
                "default",
            ];
            assert!(known.contains(&keyword.as_str()), "this check knows no `{keyword}`");
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|wanted| is(value, wanted)) {
            return Err(format!("{at}: {value} is none of {types:?}"));
        }
        if let Some(values) = schema["enum"].as_array()
            && !values.contains(value)
        {
            return Err(format!("{at}: {value} is none of {values:?}"));
        }
        if schema.get("const").is_some_and(|constant| constant != value) {
            return Err(format!("{at}: {value} is not {}", schema["const"]));
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let outcomes: Vec<_> = choices.iter().map(|choice| self.matches(choice, value, at)).collect();
            if outcomes.iter().filter(|outcome| outcome.is_ok()).count() != 1 {
                return Err(format!("{at}: not just one of {outcomes:?}"));
            }
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.matches(&schema["items"], item, &format!("{at}/{index}"))?;
        }
        let Some(fields) = value.as_object() else { return Ok(()) };
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                return Err(format!("{at}: `{name}` is missing"));
            }
        }
        for (name, field) in fields {
            let at = format!("{at}/{name}");
            match (schema["properties"].get(name), schema.get("additionalProperties")) {
                (Some(property), _) => self.matches(property, field, &at)?,
                (None, Some(Value::Bool(false))) => return Err(format!("{at} is not described")),
                (None, Some(others)) => self.matches(others, field, &at)?,
                (None, None) if schema.get("properties").is_some() => {
                    return Err(format!("{at} is not described"));
                }
                (None, None) => {}
            }
        }
        Ok(())
    }
}

fn is(value: &Value, wanted: &str) -> bool {
    match wanted {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    }
}
