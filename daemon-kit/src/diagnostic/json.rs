//! For scripts. Fields are never renamed or dropped; new ones may be added.

use serde_json::{Value, json};

use super::{Diagnostic, Place, Summary};

/// `level`, `code`, `message`, `file`, `line`, `column`, `end_line`, `end_column`, `help` and `related`; what is not known
/// is `null`. Lines and columns count from 1, columns in characters; the end is exclusive.
#[must_use]
pub fn diagnostic_to_json(diagnostic: &Diagnostic) -> Value {
    let mut object = json!({
        "level": diagnostic.level.name(),
        "code": diagnostic.code,
        "message": diagnostic.message,
    });
    put_place(&mut object, diagnostic.place.as_ref());
    if let Some(fields) = object.as_object_mut() {
        fields.insert("help".to_owned(), json!(diagnostic.help));
        let related = diagnostic.related.iter().map(|(place, why)| {
            let mut object = json!({ "message": why });
            put_place(&mut object, Some(place));
            object
        });
        fields.insert("related".to_owned(), related.collect());
    }
    object
}

/// `{"diagnostics": […], "summary": {"errors": …, "warnings": …, "notes": …}}`.
#[must_use]
pub fn report_to_json(diagnostics: &[Diagnostic]) -> Value {
    let summary = Summary::of(diagnostics);
    json!({
        "diagnostics": diagnostics.iter().map(diagnostic_to_json).collect::<Vec<_>>(),
        "summary": { "errors": summary.errors, "warnings": summary.warnings, "notes": summary.notes },
    })
}

fn put_place(object: &mut Value, place: Option<&Place>) {
    let Some(fields) = object.as_object_mut() else { return };
    let place = place.map(|place| {
        let start = place.source.line_column(place.span.start);
        (place.source.name(), start, place.source.line_column(place.span.end))
    });
    fields.insert("file".to_owned(), json!(place.map(|(name, _, _)| name)));
    fields.insert("line".to_owned(), json!(place.map(|(_, start, _)| start.0)));
    fields.insert("column".to_owned(), json!(place.map(|(_, start, _)| start.1)));
    fields.insert("end_line".to_owned(), json!(place.map(|(_, _, end)| end.0)));
    fields.insert("end_column".to_owned(), json!(place.map(|(_, _, end)| end.1)));
}
