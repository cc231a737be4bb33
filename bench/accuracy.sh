#!/usr/bin/env bash
# Writes the table of docs/accuracy.md from runs of the real programs. QUICK=1 makes it short and leaves the document alone.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${SLO_ENGINE:-}" ] && [ -x "$(dirname "$SLO_ENGINE")/proof" ]; then
  proof=("$(dirname "$SLO_ENGINE")/proof")
else
  proof=(cargo run --quiet --release --locked -p testbed --bin proof --)
fi
if [ -n "${QUICK:-}" ]; then
  exec "${proof[@]}" accuracy --quick
fi
exec "${proof[@]}" accuracy --document docs/accuracy.md
