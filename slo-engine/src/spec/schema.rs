//! JSON Schemas of the spec formats, for editors: `slo-engine schema`.

/// A format with its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// What the command line calls the format.
    pub name: &'static str,
    /// One line on what it is.
    pub title: &'static str,
    /// The schema (draft 7).
    pub json: &'static str,
}

/// All schemas; the first is the one most people want.
pub const SCHEMAS: [Schema; 4] = [
    Schema {
        name: "prometheus-v1",
        title: "Sloth prometheus/v1",
        json: include_str!("schema/prometheus-v1.json"),
    },
    Schema {
        name: "kubernetes-v1",
        title: "Kubernetes object PrometheusServiceLevel",
        json: include_str!("schema/kubernetes-v1.json"),
    },
    Schema { name: "openslo-v1", title: "OpenSLO openslo/v1", json: include_str!("schema/openslo-v1.json") },
    Schema {
        name: "alert-windows",
        title: "Sloth AlertWindows catalogue",
        json: include_str!("schema/alert-windows.json"),
    },
];

/// The schema of a name.
#[must_use]
pub fn schema(name: &str) -> Option<Schema> {
    SCHEMAS.into_iter().find(|schema| schema.name == name)
}
