//! What is wrong with an SLO, said in terms of its fields; the spec layer knows where each field stands in the file.

/// How bad a finding is. Only an error stops generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// No rules can be made from this SLO.
    Error,
    /// Rules can be made, but hardly what was meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// Page or ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Wakes somebody.
    Page,
    /// Waits for working hours.
    Ticket,
}

/// A field of an SLO, independent of the spec format it was written in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the fields'")]
pub enum Field {
    Slo,
    Name,
    Service,
    Objective,
    Period,
    Label(String),
    Sli,
    ErrorQuery,
    TotalQuery,
    GoodQuery,
    RatioQuery,
    WeightQuery,
    Alerting,
    AlertName,
    Alert(Tier),
    AlertLabel(Tier, String),
    AlertAnnotation(Tier, String),
    Own(&'static str),
}

/// One thing to tell the author of an SLO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Error, warning or note.
    pub severity: Severity,
    /// Stable kebab-case name for scripts, such as `objective-range`.
    pub code: &'static str,
    /// Which field.
    pub field: Field,
    /// Byte offset inside the field's text where known (a PromQL or template error).
    pub offset: Option<usize>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}
