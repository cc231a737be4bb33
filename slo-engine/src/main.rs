//! Turns SLO specs into Prometheus rules. See `slo-engine --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    slo_engine::app::main()
}
