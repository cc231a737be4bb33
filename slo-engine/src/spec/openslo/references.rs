//! Objects that others name: indicators, data sources, services.

use std::collections::{HashMap, HashSet};

use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::source::Source;
use daemon_kit::yaml::{self, Limits, Node};

use super::super::reader::{Dialect, Reader, Text};
use super::super::suggest;
use super::indicator::{self, Indicator};

/// What the OpenSLO documents of all sources define for each other.
///
/// Read the sources twice when there are many: first [`References::collect`] each, then
/// [`load_with`](crate::spec::load_with) each, so that no more than one text is held at a time.
#[derive(Clone, Debug, Default)]
pub struct References {
    indicators: HashMap<String, (Source, Option<Indicator>)>,
    data_sources: HashMap<String, String>,
    services: HashSet<String>,
}

impl References {
    /// Whether a text may hold OpenSLO v1 documents, so that it is worth collecting from.
    #[must_use]
    pub fn may_define(text: &str) -> bool {
        text.match_indices("openslo/v1")
            .any(|(at, found)| !text.get(at + found.len()..).is_some_and(|rest| rest.starts_with("alpha")))
    }

    /// Remembers what a source defines. Mistakes in it are told when the source is loaded.
    pub fn collect(&mut self, source: &Source, limits: Limits) {
        if !Self::may_define(source.text()) {
            return;
        }
        for document in yaml::documents(source, limits).flatten() {
            let Some(root) = document.root() else { continue };
            let text = |node: Option<Node<'_>>| node.and_then(Node::text).map(str::to_owned);
            let (Some("openslo/v1"), Some(kind)) =
                (root.get("apiVersion").and_then(Node::text), root.get("kind").and_then(Node::text))
            else {
                continue;
            };
            let Some(name) = text(root.get("metadata").and_then(|metadata| metadata.get("name"))) else {
                continue;
            };
            match kind {
                "SLI" => {
                    let mut told_later = Vec::new();
                    let mut reader = Reader::new(source, Dialect::OpenSlo, &mut told_later);
                    let indicator = indicator::read_object(&mut reader, root);
                    self.indicators.insert(name, (source.clone(), indicator));
                }
                "DataSource" => {
                    let kind = text(root.get("spec").and_then(|spec| spec.get("type")));
                    self.data_sources.insert(name, kind.unwrap_or_default());
                }
                "Service" => {
                    self.services.insert(name);
                }
                _ => {}
            }
        }
    }

    /// The indicator that an SLO names.
    pub(super) fn indicator(&self, reader: &mut Reader<'_>, name: &Text) -> Option<Indicator> {
        match self.indicators.get(&name.value) {
            Some((source, Some(indicator))) => {
                for query in indicator.queries() {
                    self.check_source(reader, query.source.as_ref(), name);
                }
                let foreign = source.name() != reader.source.name();
                Some(Indicator { foreign, ..indicator.clone() })
            }
            Some((_, None)) => {
                reader.error("openslo-reference", name.span, format!("the SLI `{}` has errors", name.value));
                None
            }
            None => {
                let mut error =
                    Diagnostic::error("openslo-reference", format!("no SLI is named `{}`", name.value))
                        .at(reader.source, name.span);
                if let Some(meant) = suggest::nearest(&name.value, self.indicators.keys().map(String::as_str))
                {
                    error = error.help(format!("did you mean `{meant}`?"));
                }
                reader.report(error);
                None
            }
        }
    }

    fn check_source(&self, reader: &mut Reader<'_>, source: Option<&Text>, at: &Text) {
        let Some(source) = source else { return };
        match self.data_sources.get(&source.value) {
            Some(kind) if kind.eq_ignore_ascii_case("prometheus") => {}
            Some(kind) => {
                let message = format!(
                    "the data source `{}` has the type `{kind}`, only Prometheus is supported",
                    source.value
                );
                reader.error("openslo-source", at.span, message);
            }
            None => {
                let message =
                    format!("no data source is named `{}`, it is taken for Prometheus", source.value);
                reader.report(Diagnostic::note("openslo-reference", message).at(reader.source, at.span));
            }
        }
    }

    pub(super) fn check_service(&self, reader: &mut Reader<'_>, service: &Text) {
        if self.services.is_empty() || self.services.contains(&service.value) || service.value.is_empty() {
            return;
        }
        let mut warning =
            Diagnostic::warning("openslo-reference", format!("no Service is named `{}`", service.value))
                .at(reader.source, service.span);
        if let Some(meant) = suggest::nearest(&service.value, self.services.iter().map(String::as_str)) {
            warning = warning.help(format!("did you mean `{meant}`?"));
        }
        reader.report(warning);
    }
}
