//! Which format a document has.

use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::yaml::Node;

use super::suggest;

/// What to do with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocumentKind {
    PrometheusV1,
    KubernetesV1,
    OpenSloV1Alpha,
    OpenSloV1,
    /// An indicator that OpenSLO v1 SLOs refer to.
    OpenSloSli,
    /// Not an SLO; what there is to say has been said.
    Skipped,
}

const FORMATS: &str = "known are `version: prometheus/v1`, and `apiVersion` `sloth.slok.dev/v1`, `openslo/v1` and \
                       `openslo/v1alpha`";

/// Looks at `version`, `apiVersion` and `kind`.
///
/// Sloth looks for whole lines of text instead, which is why it refuses a comment behind the version, CRLF and JSON.
pub(crate) fn detect(root: Node<'_>, diagnostics: &mut Vec<Diagnostic>) -> DocumentKind {
    let source = root.document().source();
    let text = |key: &str| root.get(key).and_then(Node::text);
    if let Some(version) = root.get_fold("version").filter(|_| root.get("apiVersion").is_none()) {
        return match version.text() {
            Some("prometheus/v1") => DocumentKind::PrometheusV1,
            other => {
                let message = match other {
                    Some(other) => format!("unknown spec version `{other}`"),
                    None => "the spec version must be text".to_owned(),
                };
                diagnostics.push(
                    Diagnostic::error("unknown-spec", message)
                        .at(source, version.span())
                        .help("Sloth's format is `prometheus/v1`"),
                );
                DocumentKind::Skipped
            }
        };
    }
    match (text("apiVersion"), text("kind")) {
        (Some("sloth.slok.dev/v1"), Some("PrometheusServiceLevel")) => DocumentKind::KubernetesV1,
        (Some("openslo/v1alpha"), Some("SLO")) => DocumentKind::OpenSloV1Alpha,
        (Some("openslo/v1"), Some("SLO")) => DocumentKind::OpenSloV1,
        (Some("openslo/v1"), Some("SLI")) => DocumentKind::OpenSloSli,
        (Some("openslo/v1" | "openslo/v1alpha"), Some("Service" | "DataSource")) => DocumentKind::Skipped,
        (Some(version), Some(kind)) => {
            let at = root.get("kind").map_or(root.span(), Node::span);
            let ours = version.starts_with("sloth.slok.dev/") || version.starts_with("openslo/");
            let diagnostic = if matches!(kind, "PrometheusServiceLevel") || (ours && kind == "SLO") {
                let at = root.get("apiVersion").map_or(root.span(), Node::span);
                Diagnostic::error("unknown-spec", format!("unknown version `{version}` of kind `{kind}`"))
                    .at(source, at)
                    .help(FORMATS)
            } else {
                let mut note = Diagnostic::note("skipped-kind", format!("kind `{kind}` is no SLO, skipped"))
                    .at(source, at);
                if let (true, Some(meant)) = (ours, suggest::nearest(kind, ["PrometheusServiceLevel", "SLO"]))
                {
                    note = note.help(format!("did you mean `{meant}`?"));
                }
                note
            };
            diagnostics.push(diagnostic);
            DocumentKind::Skipped
        }
        _ => {
            let message = "this is no SLO spec: it has neither `version` nor `apiVersion` and `kind`";
            let mut span = root.span();
            // The whole document would be underlined otherwise.
            span.end = root.pairs().next().map_or(span.end, |(key, _)| key.span().end);
            diagnostics.push(Diagnostic::error("unknown-spec", message).at(source, span).help(FORMATS));
            DocumentKind::Skipped
        }
    }
}
