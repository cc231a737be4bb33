#!/usr/bin/env bash
# How long the parts of a run take.
#
#   testbed/timed.sh LABEL COMMAND…   runs the command; if TIMES names a file, a line of it says when it began and how long it took
#   testbed/timed.sh --table          prints that file as a table, the longest first, and the time from first to last
set -euo pipefail

if [ "$1" = --table ]; then
  sort -t$'\t' -k2,2 -rg "$TIMES" | awk -F'\t' '
    { printf "%8.1f s  %s\n", $2, $3 }
    NR == 1 || $1 < first { first = $1 }
    $1 + $2 > last { last = $1 + $2 }
    END { printf "%8.1f s  from first to last: parts may overlap\n", last - first }'
  exit
fi

label=$1
shift
start=$EPOCHREALTIME
status=0
"$@" || status=$?
if [ -n "${TIMES:-}" ]; then
  awk -v a="$start" -v b="$EPOCHREALTIME" -v label="$label" 'BEGIN { printf "%.1f\t%.1f\t%s\n", a, b - a, label }' >>"$TIMES"
fi
exit "$status"
