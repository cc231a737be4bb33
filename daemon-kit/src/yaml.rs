//! YAML as a tree in which every node knows its place.
//!
//! Scalars stay text: what `yes` or `010` means is decided by whoever reads the tree, because formats differ in it.
//!
//! The tree of a document is one flat array in written order (20 bytes a node); a scalar that stands in the source as it
//! reads is not copied. An alias is a pointer to the node of its anchor, whatever its size, and the number of nodes that
//! a document would have with all aliases written out is bounded by [`Limits`], so that a small file cannot make its
//! reader walk for ever.

mod build;
mod hint;
mod locate;
mod tree;

pub use build::{Documents, Limits, documents, parse};
pub use locate::locate;
pub use tree::{Document, Kind, Node, Style};

#[cfg(test)]
mod tests;
