//! See `quota-enforcer --help`.

fn main() {}
