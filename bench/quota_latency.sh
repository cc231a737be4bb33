#!/usr/bin/env bash
# How fast a runaway client gets its first quota, on a real cluster: writes the tables of docs/quota-latency.md and the raw runs
# beside it. Nine minutes. QUICK=1 makes it short and leaves the documents alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.cache/servers/usr/bin:$PATH"
measure=("${CARGO:-cargo}" run --release --locked --quiet -p quota-enforcer --example quota_latency --)
if [ -n "${QUICK:-}" ]; then
  exec "${measure[@]}" --quick
fi
exec "${measure[@]}" --document docs/quota-latency.md --raw docs/quota-latency.csv
