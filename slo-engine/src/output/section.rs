//! What groups are put into: a plain list, a `PrometheusRule` object, or a namespace of Mimir's ruler.

use std::collections::BTreeMap;

use clap::ValueEnum;
use slo_engine_core::RuleGroup;

use super::yaml;

/// Which program reads the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Rule files of Prometheus
    Prometheus,
    /// `PrometheusRule` objects of the Prometheus operator
    PrometheusOperator,
    /// Namespaces of the ruler of Mimir or Cortex, as `mimirtool rules load` reads them
    Mimir,
}

/// Metadata of a Kubernetes object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectMeta {
    /// `metadata.name`
    pub name: String,
    /// `metadata.namespace`
    pub namespace: Option<String>,
    /// `metadata.labels`, without those that every generated object gets.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`; an empty map stays one, as with Sloth.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// What groups are put into. Groups of equal sections that follow each other share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Section {
    /// A plain list of groups.
    Groups,
    /// A `PrometheusRule`.
    Object(ObjectMeta),
    /// A namespace of a ruler.
    Namespace(String),
}

impl Section {
    /// A group as it stands in this section.
    #[must_use]
    pub fn render(&self, group: &RuleGroup) -> String {
        // Most groups fit; growing by doubling would copy them several times.
        let mut out = String::with_capacity(12 << 10);
        self.render_into(group, &mut out);
        out
    }

    /// As [`Section::render`], appended.
    pub fn render_into(&self, group: &RuleGroup, out: &mut String) {
        let indent = if matches!(self, Self::Object(_)) { 2 } else { 0 };
        yaml::group(out, indent, group);
    }

    /// Everything before the first group. `part` (from 1) numbers the objects of one split section.
    pub(super) fn head(&self, part: usize, empty: bool) -> String {
        let mut out = String::new();
        match self {
            Self::Groups => groups(&mut out, 0, empty),
            Self::Namespace(name) => {
                yaml::entry(&mut out, 0, "namespace", name);
                groups(&mut out, 0, empty);
            }
            Self::Object(meta) => object(&mut out, meta, part, empty),
        }
        out
    }

    /// Objects are split within their file, other sections into further files.
    pub(super) const fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }
}

fn groups(out: &mut String, indent: usize, empty: bool) {
    if empty {
        // No scalar: an empty sequence.
        out.push_str(" ".repeat(indent).as_str());
        out.push_str("groups: []\n");
    } else {
        yaml::head(out, indent, "groups");
    }
}

fn object(out: &mut String, meta: &ObjectMeta, part: usize, empty: bool) {
    yaml::entry(out, 0, "apiVersion", "monitoring.coreos.com/v1");
    yaml::entry(out, 0, "kind", "PrometheusRule");
    yaml::head(out, 0, "metadata");
    match &meta.annotations {
        Some(annotations) if annotations.is_empty() => out.push_str("  annotations: {}\n"),
        Some(annotations) => yaml::map(out, 2, "annotations", annotations),
        None => {}
    }
    let mut labels = meta.labels.clone();
    // Sloth's own labels, `managed-by` included: selectors of Prometheus operators are written for them.
    labels.insert("app.kubernetes.io/component".to_owned(), "SLO".to_owned());
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "sloth".to_owned());
    yaml::map(out, 2, "labels", &labels);
    let name = if part > 1 { format!("{}-part{part}", meta.name) } else { meta.name.clone() };
    if !name.is_empty() {
        yaml::entry(out, 2, "name", &name);
    }
    if let Some(namespace) = meta.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        yaml::entry(out, 2, "namespace", namespace);
    }
    yaml::head(out, 0, "spec");
    groups(out, 2, empty);
}
