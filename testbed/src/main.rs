//! testbed.
fn main() {}
