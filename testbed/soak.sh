#!/usr/bin/env bash
# Runs the tests on Kafka clusters ROUNDS times, beside a process that keeps one core busy. Stops at the first failure.
#
#   testbed/soak.sh ROUNDS
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
yes >/dev/null &
busy=$!
trap 'kill "$busy"' EXIT
for round in $(seq "$1"); do
  echo "==> soak: round $round of $1"
  ONLY=' (it|cluster|story)$' testbed/test.sh
done
