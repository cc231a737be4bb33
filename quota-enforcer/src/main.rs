//! See `quota-enforcer --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    quota_enforcer::app::main()
}
