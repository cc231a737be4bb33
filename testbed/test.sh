#!/usr/bin/env bash
# Runs all tests and prints what took how long.
#
# Most test binaries wait for servers most of the time, so several of them run beside each other, the longest first. A binary's
# output is shown when it fails; all of them stay in .cache/tests. `cargo test` runs the same tests one binary after another.
#
#   JOBS=2           binaries at the same time
#   TEST_CLUSTERS=3  Kafka clusters of three brokers in each binary at the same time, where one is not enough
#   FULL=1           a hundred random kills instead of six, a thousand clients instead of two hundred
#   SEED=…           repeats what was random
#   ONLY=regex       only binaries whose name (such as "quota-enforcer cluster") matches
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo=${CARGO:-cargo}
logs=$PWD/.cache/tests
timed=$PWD/testbed/timed.sh
rm -rf "$logs"
mkdir -p "$logs"
export TIMES=${TIMES:-$logs/times}
export INSTA_UPDATE=no RUST_TEST_THREADS=${RUST_TEST_THREADS:-8}

echo "==> test: build"
export ENLIST=$logs/binaries
"$timed" "build of the tests" "$cargo" test --workspace --locked --no-run --quiet
"$cargo" test --workspace --locked --quiet --tests \
  --config "target.'cfg(unix)'.runner='$PWD/testbed/enlist.sh'"

[ -s "$ENLIST" ] || { echo "cargo named no test binary, so nothing was tested"; exit 1; }

# A line for each job: its rank, its name, the folder to run it in, and the binary. Those with servers come first, the longest
# before the others. The story measures latencies: it has no server beside it but its own, only tests that compute.
list() {
  local package folder binary kind rank
  while IFS=$'\t' read -r package folder binary; do
    kind=$(basename "${binary%-*}")
    # Beside these, a test binary has the name of the library or program whose unit tests it holds.
    case $kind in it | cluster | story) ;; *) kind="unit ($kind)" ;; esac
    case "$package $kind" in
      *" cluster") rank=1 ;;
      "slo-engine it") rank=2 ;;
      *" it") rank=3 ;;
      *" story") rank=4 ;;
      *) rank=5 ;;
    esac
    printf '%s\t%s %s\t%s\t%s\n' "$rank" "$package" "$kind" "$folder" "$binary"
  done <"$ENLIST"
  printf '5\tdocumentation examples\t%s\tnone\n' "$PWD"
}

# Runs a job with its output in a log of its own, and says how it ended.
run() {
  local name=$1 folder=$2 binary=$3 log=$logs/${1//[^a-z-]/_}.log start=$SECONDS status=0
  cd "$folder"
  # The harness tells the time of each test only as an unstable feature, which RUSTC_BOOTSTRAP lets it have.
  local command=(env RUSTC_BOOTSTRAP=1 "$binary" -Z unstable-options --report-time)
  case $name in
    # They talk to servers with deadlines, so the processor is theirs first.
    *" it" | *" story") ;;
    # As many as there are clusters, so that the time of a test has no waiting for one in it.
    *" cluster")
      export TEST_CLUSTERS=${TEST_CLUSTERS:-3}
      export RUST_TEST_THREADS=$TEST_CLUSTERS
      ;;
    documentation*) command=(nice -n 19 "$cargo" test --workspace --locked --doc) ;;
    *) command=(nice -n 19 "${command[@]}") ;;
  esac
  "$timed" "$name" "${command[@]}" >"$log" 2>&1 || status=$?
  if [ "$status" = 0 ]; then
    local count
    count=$(passed "$log")
    # A program without tests of its own is none.
    [ "$count" = 0 ] || echo "    passed: $name, $count tests in $((SECONDS - start)) s"
  else
    echo "    FAILED: $name"
    cat "$log"
    touch "$logs/failed"
  fi
}

passed() { awk '/^test result:/ { sum += $4 } END { print sum + 0 }' "$@"; }
failed() { awk '/^test result:/ { sum += $6 } END { print sum + 0 }' "$@"; }

echo "==> test: run"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
free=${JOBS:-2}
while IFS=$'\t' read -r rank name folder binary; do
  [[ $name =~ ${ONLY:-.} ]] || continue
  if [ "$rank" = 4 ]; then
    wait
    free=${JOBS:-2}
  fi
  if [ "$free" = 0 ]; then wait -n; else free=$((free - 1)); fi
  run "$name" "$folder" "$binary" </dev/null &
done < <(list | sort)
wait

echo "==> test: the longest tests"
sed -nE 's/^test (.*) \.\.\. ok <([0-9]{2,}\.[0-9])[0-9]*s>$/\2 s  \1/p' "$logs"/*.log | sort -rg
echo "==> test: what took how long"
"$timed" --table
echo "$(passed "$logs"/*.log) passed, $(failed "$logs"/*.log) failed"
[ ! -e "$logs/failed" ]
