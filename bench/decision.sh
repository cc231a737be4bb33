#!/usr/bin/env bash
# What quota-enforcer's decision costs: CPU of a tick and memory of a client, as clients grow. Writes the tables of
# docs/quota-decision.md. A minute. QUICK=1 leaves the document alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
document=docs/quota-decision.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CARGO:-cargo}" run --release --locked --quiet -p quota-enforcer-core --example decision_cost > "$work/tables"
cat "$work/tables"
[ -z "${QUICK:-}" ] || exit 0
awk -v tables="$work/tables" '
  /<!-- end: quota-decision -->/ { skip = 0 }
  !skip { print }
  /<!-- generated: quota-decision -->/ { while ((getline row < tables) > 0) print row; skip = 1 }
' "$document" > "$work/document"
cat "$work/document" > "$document"
