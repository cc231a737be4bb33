//! The stages between a decision and its proof, for those who time them or, in tests, cut them short.

use std::time::Duration;

/// A stage of carrying out acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Metrics and quotas were read.
    Observed,
    /// The decision stands.
    Decided,
    /// Intents are in the ledger.
    Intended,
    /// The slots hold what they are expected to hold.
    Described,
    /// The controller took the write.
    Altered,
    /// Every live broker tells the new value.
    Live,
    /// The outcome is in the ledger.
    Done,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Observed,
        Self::Decided,
        Self::Intended,
        Self::Described,
        Self::Altered,
        Self::Live,
        Self::Done,
    ];

    /// In labels and in the name of a failpoint.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Decided => "decided",
            Self::Intended => "intended",
            Self::Described => "described",
            Self::Altered => "altered",
            Self::Live => "live",
            Self::Done => "done",
        }
    }
}

/// Is told of each stage with the time since the stage before it.
pub trait Probe: Send + Sync {
    /// A stage was reached. Only ticks that act go beyond [`Stage::Decided`].
    fn reached(&self, stage: Stage, took: Duration);
    /// A write was made, this long after what stood there was asked for: somebody else's write meanwhile would be lost. One without
    /// an answer could be made until it was settled.
    fn unguarded(&self, _took: Duration) {}
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Probe for Silent {
    fn reached(&self, _: Stage, _: Duration) {}
}
