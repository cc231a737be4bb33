//! Scalars of the file: one clear notation for each, and what is right when it is not met.

mod choice;
mod quantity;
mod text;

#[cfg(test)]
mod tests;

pub use choice::Shutdown;
pub(crate) use quantity::{Amount, Bytes, Count, Least, Number, Share, Time, Unit};
pub(crate) use text::{LabelName, Line, RuleName, Topic, Url};

/// What a scalar is read into.
pub(crate) trait Value: Sized {
    /// What the text is not, when it is wrong.
    const WHAT: &'static str;
    /// What would be right.
    const HELP: &'static str;

    /// `None` when the text is none of it.
    fn parse(text: &str) -> Option<Self>;
}
