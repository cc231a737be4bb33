//! slo-engine.
fn main() {}
