#!/usr/bin/env bash
# What the kit costs a daemon that does nothing, and what librdkafka adds: writes the table of docs/adr/0006-daemon-runtime.md.
# Half a minute. QUICK=1 leaves the document alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
document=docs/adr/0006-daemon-runtime.md
goal=20
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done; wait; rm -rf "$work"' EXIT
examples=${CARGO_TARGET_DIR:-target}/release/examples
"${CARGO:-cargo}" build --release --locked --quiet -p daemon-kit --features runtime --example idle
"${CARGO:-cargo}" build --release --locked --quiet -p quota-enforcer --example idle_librdkafka
echo 'interval_seconds: 1' > "$work/idle.yaml"

# Starts the daemon on a free port of loopback; its process is the last of `pids`, its address in `address`.
start() { # name, flags...
  local log=$work/$1.log
  shift
  env -u OTEL_EXPORTER_OTLP_ENDPOINT "$examples/idle" --config "$work/idle.yaml" --admin-listen 127.0.0.1:0 "$@" 2> "$log" &
  pids+=($!)
  for _ in $(seq 100); do
    address=$(sed -n 's/.*admin listener.*address=\(127[.0-9]*:[0-9]*\).*/\1/p' "$log")
    [ -z "$address" ] || return 0
    sleep 0.1
  done
  cat "$log" >&2
  return 1
}

# Ten times, a second apart, as Prometheus does it.
scrape() {
  local connection answer
  for _ in $(seq 10); do
    exec {connection}<> "/dev/tcp/${address%:*}/${address##*:}"
    printf 'GET /metrics HTTP/1.1\r\nhost: idle\r\nconnection: close\r\n\r\n' >&"$connection"
    answer=$(cat <&"$connection")
    exec {connection}>&-
    [[ $answer == "HTTP/1.1 200 "* ]] || { echo "no metrics: ${answer%%$'\r'*}" >&2; return 1; }
    sleep 1
  done
}

of() { # field
  awk -v field="$1:" '$1 == field { print $2 }' "/proc/${pids[-1]}/status"
}

row() { # what, KiB resident, KiB of heap and stacks, threads, goal in MiB or nothing
  awk -v what="$1" -v resident="$2" -v anonymous="$3" -v threads="$4" -v goal="$5" 'BEGIN {
    result = goal == "" ? "" : sprintf("%s, %d MiB", resident <= goal * 1024 ? "met" : "missed", goal)
    printf "| %s | %.1f MiB | %.1f MiB | %d | %s |\n", what, resident / 1024, anonymous / 1024, threads, result
  }'
}

{
  echo '| process | resident | of it heap and stacks | threads | goal |'
  echo '|---|---|---|---|---|'
  start idle
  sink=$address
  scrape
  row 'the kit alone' "$(of VmRSS)" "$(of RssAnon)" "$(of Threads)" "$goal"
  # The first one's listener refuses them, which costs the sender about as much.
  start traces --otlp-endpoint "http://$sink"
  scrape
  row 'the kit, sending traces' "$(of VmRSS)" "$(of RssAnon)" "$(of Threads)" "$goal"
  read -r resident anonymous threads < <("$examples/idle_librdkafka")
  row 'what librdkafka adds' "$resident" "$anonymous" "$threads" ''
} > "$work/table"
cat "$work/table"
[ -z "${QUICK:-}" ] || exit 0
awk -v table="$work/table" '
  /<!-- end: idle -->/ { skip = 0 }
  !skip { print }
  /<!-- generated: idle -->/ { while ((getline row < table) > 0) print row; skip = 1 }
' "$document" > "$work/document"
cat "$work/document" > "$document"
