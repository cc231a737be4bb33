//! Sloth's `AlertWindows` files.

use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::source::{Source, Span};
use daemon_kit::yaml::{self, Limits, Node};
use slo_engine_core::window::PeriodWindows;
use slo_engine_core::{AlertWindow, Catalogue, PromDuration, WindowPair};

use super::reader::{Dialect, Reader};

/// Reads the files of a catalogue. It replaces the built-in one.
#[must_use]
pub fn load_windows(sources: &[Source]) -> (Catalogue, Vec<Diagnostic>) {
    let mut catalogue = Catalogue::default();
    let mut diagnostics = Vec::new();
    let mut places: Vec<(Source, Span)> = Vec::new();
    for source in sources {
        for document in yaml::documents(source, Limits::default()) {
            let document = match document {
                Ok(document) => document,
                Err(diagnostic) => {
                    diagnostics.push(diagnostic);
                    continue;
                }
            };
            let Some(root) = document.root() else { continue };
            let mut reader = Reader::new(source, Dialect::OpenSlo, &mut diagnostics);
            let Some((windows, span)) = read(&mut reader, root) else { continue };
            if let Err((name, error)) = windows.check() {
                let message =
                    name.map_or_else(|| error.to_string(), |name| format!("invalid {name}: {error}"));
                reader.error("alert-windows", span, message);
                continue;
            }
            match catalogue.periods.iter().position(|known| known.period == windows.period) {
                None => {
                    catalogue.periods.push(windows);
                    places.push((source.clone(), span));
                }
                Some(earlier) => {
                    let message = format!("the SLO period {} has alert windows already", windows.period);
                    let same = catalogue.periods.get(earlier) == Some(&windows);
                    let new = if same { Diagnostic::warning } else { Diagnostic::error };
                    let mut diagnostic = new("alert-windows", message).at(source, span);
                    if let Some((source, span)) = places.get(earlier) {
                        diagnostic = diagnostic.related(source, *span, "first given here");
                    }
                    reader.report(diagnostic);
                }
            }
        }
    }
    if catalogue.periods.is_empty() && diagnostics.is_empty() {
        diagnostics.push(
            Diagnostic::error("alert-windows", "the catalogue of alert windows is empty")
                .help("put files of kind `AlertWindows` into the directory"),
        );
    }
    (catalogue, diagnostics)
}

const NONE: AlertWindow = AlertWindow {
    error_budget_percent: 0.0,
    short: PromDuration::from_secs(0),
    long: PromDuration::from_secs(0),
};

fn read(reader: &mut Reader<'_>, root: Node<'_>) -> Option<(PeriodWindows, Span)> {
    let (mut version, mut kind, mut spec) = (String::new(), String::new(), None);
    for (key, value) in reader.fields(root, "object", &["api_version", "kind", "metadata", "spec"]) {
        match key {
            "api_version" => version = reader.text(value, "apiVersion").unwrap_or_default().value,
            "kind" => kind = reader.text(value, "kind").unwrap_or_default().value,
            "spec" => spec = Some(value),
            _ => {}
        }
    }
    if version != "sloth.slok.dev/v1" || kind != "AlertWindows" {
        let span = root.pairs().next().map_or(root.span(), |(key, _)| key.span());
        let help = "alert windows have `apiVersion: sloth.slok.dev/v1` and `kind: AlertWindows`";
        reader.error_help("alert-windows", span, "these are no alert windows", help);
        return None;
    }
    let pair = WindowPair { quick: NONE, slow: NONE };
    let mut windows = PeriodWindows { period: PromDuration::from_secs(0), page: pair, ticket: pair };
    let mut span = root.pairs().next().map_or(root.span(), |(key, _)| key.span());
    for (key, value) in
        spec.map(|spec| reader.fields(spec, "spec", &["slo_period", "page", "ticket"])).into_iter().flatten()
    {
        match key {
            "slo_period" => {
                span = value.span();
                windows.period = duration(reader, value, "sloPeriod")?;
            }
            _ => {
                let tier = if key == "page" { &mut windows.page } else { &mut windows.ticket };
                for (name, value) in reader.fields(value, key, &["quick", "slow"]) {
                    let window = if name == "quick" { &mut tier.quick } else { &mut tier.slow };
                    *window = self::window(reader, value, &format!("{key}.{name}"))?;
                }
            }
        }
    }
    Some((windows, span))
}

fn window(reader: &mut Reader<'_>, node: Node<'_>, what: &str) -> Option<AlertWindow> {
    let mut window = NONE;
    let before = reader.errors;
    for (key, value) in reader.fields(node, what, &["error_budget_percent", "short_window", "long_window"]) {
        match key {
            "error_budget_percent" => {
                window.error_budget_percent =
                    reader.number(value, &format!("{what}.errorBudgetPercent")).unwrap_or(0.0);
            }
            "short_window" => {
                window.short = duration(reader, value, &format!("{what}.shortWindow")).unwrap_or(NONE.short)
            }
            _ => window.long = duration(reader, value, &format!("{what}.longWindow")).unwrap_or(NONE.long),
        }
    }
    (reader.errors == before).then_some(window)
}

fn duration(reader: &mut Reader<'_>, node: Node<'_>, what: &str) -> Option<PromDuration> {
    let text = reader.text(node, what)?;
    match PromDuration::parse(&text.value) {
        Ok(duration) => Some(duration),
        Err(error) => {
            reader.error("alert-windows", text.span, format!("`{what}`: {error}"));
            None
        }
    }
}
