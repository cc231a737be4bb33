#!/usr/bin/env bash
# What quota-enforcer's decision costs: CPU of a tick and memory of a client, as clients grow.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
"${CARGO:-cargo}" run --release --locked --quiet -p quota-enforcer-core --example decision_cost
