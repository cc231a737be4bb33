//! What the server says, as values.

use std::collections::BTreeMap;

/// Label names and values of a series, `__name__` included where the server sent it.
pub type Labels = BTreeMap<String, String>;

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Any float, `NaN` and the infinities included.
    pub value: f64,
}

/// A series with its samples in order of time; exactly one sample for an instant query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its identity; empty for a scalar.
    pub labels: Labels,
    /// Float samples.
    pub samples: Vec<Sample>,
    /// How many native histogram samples were left out: they have no single value.
    pub histograms: usize,
}

impl Series {
    /// The last sample's value, if any.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.samples.last().map(|sample| sample.value)
    }
}

/// A value with what the server wants to have said about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer<T> {
    /// The answer proper.
    pub value: T,
    /// Warnings and notes of the server, for example that a store behind a proxy did not answer: the value may then
    /// be partial.
    pub warnings: Vec<String>,
}
