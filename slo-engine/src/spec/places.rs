//! Where the fields of an SLO stand, and findings told at those places.

use std::sync::Arc;

use daemon_kit::diagnostic::{Diagnostic, Level};
use daemon_kit::source::{Source, Span};
use daemon_kit::yaml;
use slo_engine_core::{Field, Finding, Severity, Sli, Slo, Tier};

/// Where the fields of one SLO stand. A field that was not written stands where its SLO does.
#[derive(Clone, Debug, Default)]
pub struct Places {
    pub(crate) slo: Span,
    pub(crate) own: Box<[(Field, Span)]>,
    /// Fields that all SLOs of a document share.
    pub(crate) shared: Arc<[(Field, Span)]>,
}

impl Places {
    /// The field's place; the nearest thing around it when it was not written.
    #[must_use]
    pub fn get(&self, field: &Field) -> Span {
        let mut field = field.clone();
        loop {
            if let Some(span) = self.written(&field) {
                return span;
            }
            field = match field {
                Field::ErrorQuery | Field::TotalQuery | Field::GoodQuery | Field::RatioQuery => Field::Sli,
                Field::Alert(_) | Field::AlertName => Field::Alerting,
                Field::AlertLabel(tier, _) | Field::AlertAnnotation(tier, _) => Field::Alert(tier),
                Field::WeightQuery => Field::Own("weight_query"),
                Field::Slo => return self.slo,
                _ => Field::Slo,
            };
        }
    }

    /// The field's place, if it was written.
    #[must_use]
    pub fn written(&self, field: &Field) -> Option<Span> {
        let find =
            |places: &[(Field, Span)]| places.iter().find(|(name, _)| name == field).map(|(_, span)| *span);
        find(&self.own).or_else(|| find(&self.shared))
    }
}

/// An SLO with its places.
#[derive(Clone, Debug)]
pub struct LocatedSlo {
    /// What the generators see.
    pub slo: Slo,
    /// Where its fields stand.
    pub places: Places,
    /// The text it was read from.
    pub source: Source,
    /// Which document of that text, from 0.
    pub document: usize,
    /// Which of [`Loaded::objects`](super::Loaded::objects) it belongs to.
    pub object: usize,
    /// Sloth writes no rules for it, because `overridePrevious: true` drops its default plugins and nothing replaces
    /// them. Sloth does not validate such an SLO either.
    pub no_rules: bool,
    /// Queries are the author's own text, so that offsets in them are places in the source.
    pub verbatim: bool,
}

/// A finding of the core as a diagnostic at the place of its field.
#[must_use]
pub fn diagnose(located: &LocatedSlo, finding: Finding) -> Diagnostic {
    let mut span = located.places.get(&finding.field);
    if let (Some(offset), true) = (finding.offset, located.verbatim)
        && located.places.written(&finding.field).is_some()
        && let Some(text) = query(&located.slo, &finding.field)
    {
        span = yaml::locate(&located.source, span, text, offset);
    }
    let level = match finding.severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
        Severity::Note => Level::Note,
    };
    let mut diagnostic = Diagnostic::new(level, finding.code, finding.message).at(&located.source, span);
    diagnostic.help = finding.help;
    diagnostic
}

fn query<'s>(slo: &'s Slo, field: &Field) -> Option<&'s str> {
    let query = match (field, &slo.sli) {
        (Field::ErrorQuery, Sli::Events { error, .. }) => error,
        (Field::TotalQuery, Sli::Events { total, .. } | Sli::GoodTotal { total, .. }) => total,
        (Field::GoodQuery, Sli::GoodTotal { good, .. }) => good,
        (Field::RatioQuery, Sli::Raw { error_ratio }) => error_ratio,
        (Field::WeightQuery, _) => slo.own.weight_query.as_ref()?,
        _ => return None,
    };
    Some(&query.0)
}

/// Both tiers.
pub(crate) const TIERS: [Tier; 2] = [Tier::Page, Tier::Ticket];
