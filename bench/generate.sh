#!/usr/bin/env bash
# Speed of `slo-engine generate`, as a Markdown table: 1, 1,000 and 10,000 SLOs, in one file and in one file each.
#
#   SLO_ENGINE  the binary to measure (default: target/release/slo-engine)
#   SLOTH       Sloth's binary, measured beside it when set
#   RUNS        runs per line; the median is shown (default: 5)
#   DOCUMENT    a file whose lines between `<!-- generate:begin -->` and `<!-- generate:end -->` are replaced by the table
#               (default: docs/speed.md)
#   QUICK       set: one run per line, and no document is changed
#
# Peak memory needs GNU time (Debian: apt install time).
set -euo pipefail
cd "$(dirname "$0")/.."
engine=$(realpath "${SLO_ENGINE:-target/release/slo-engine}")
sloth=${SLOTH:+$(realpath "$(command -v "$SLOTH")")}
runs=${RUNS:-${QUICK:+1}}
runs=${runs:-5}
document=${DOCUMENT:-docs/speed.md}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

specs() { # count, one|each
  awk -v count="$1" -v mode="$2" -v root="$work" '
    function head(file) {
      print "version: \"prometheus/v1\"\nservice: \"platform\"\nlabels:\n  owner: \"team\"\nslos:" > file
    }
    BEGIN {
      if (mode == "one") head(file = root "/" count ".yaml")
      for (i = 0; i < count; i++) {
        if (mode == "each") head(file = sprintf("%s/%s/%05d.yaml", root, count, i))
        printf "  - name: \"slo-%05d\"\n    objective: 99.9\n    description: \"Requests of service %d that succeed.\"\n", i, i > file
        printf "    labels:\n      tier: \"2\"\n    sli:\n      events:\n" > file
        printf "        error_query: sum(rate(http_request_duration_seconds_count{job=\"service-%d\",code=~\"(5..|429)\"}[{{.window}}]))\n", i > file
        printf "        total_query: sum(rate(http_request_duration_seconds_count{job=\"service-%d\"}[{{.window}}]))\n", i > file
        printf "    alerting:\n      name: Service%dHighErrorRate\n      labels:\n        category: \"availability\"\n", i > file
        printf "      annotations:\n        summary: \"High error rate of service %d\"\n", i > file
        printf "      page_alert:\n        labels:\n          severity: pageteam\n" > file
        printf "      ticket_alert:\n        labels:\n          severity: slack\n" > file
        if (mode == "each") close(file)
      }
    }'
}

# Seconds of wall clock, seconds of processor, KiB at most, of one run.
once() {
  local TIMEFORMAT='%3R %3U %3S' measure=()
  echo 0 > "$work/memory"
  [ ! -x /usr/bin/time ] || measure=(/usr/bin/time -q -f %M -o "$work/memory" --)
  { time "${measure[@]}" "$@" > /dev/null 2> "$work/said"; } 2> "$work/time" || return 1
  awk -v memory="$(tail -n 1 "$work/memory")" '{ printf "%.3f %.3f %d\n", $1, $2 + $3, memory }' "$work/time"
}

line() { # what, SLOs, one|each, command...
  local what=$1 count=$2 mode=$3 input out wall cpu memory bytes
  shift 3
  if [ "$mode" = one ]; then input=$work/$count.yaml; else input=$work/$count; fi
  : > "$work/runs"
  for _ in $(seq "$runs"); do
    # A new place each time: ext4 spends seconds on finding other inodes than those just deleted.
    out=$(mktemp -d "$work/out.XXXXXX")
    [ "$mode" = each ] || out=$out/rules.yaml
    if ! once "$@" -i "$input" -o "$out" >> "$work/runs"; then
      printf '| %s | %s | %s | fails | | | |\n' "$what" "$count" "$mode"
      return
    fi
  done
  read -r wall cpu memory < <(sort -n "$work/runs" | awk -v middle="$(((runs + 1) / 2))" 'NR == middle')
  bytes=$(find "$out" -type f -name '*.yaml' -exec cat {} + | wc -c)
  printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$what" "$count" "$mode" "$wall" "$cpu" \
    "$([ "$memory" = 0 ] && echo '?' || awk -v k="$memory" 'BEGIN { printf "%.0f", k / 1024 }')" "$((bytes / count))"
}

mkdir "$work/1000" "$work/10000"
specs 1 one; specs 1000 one; specs 1000 each; specs 10000 one; specs 10000 each

table() {
  echo "| rules | SLOs | files | wall s | processor s | peak MiB | bytes per SLO |"
  echo "|---|---|---|---|---|---|---|"
  for case in "1 one" "1000 one" "1000 each" "10000 one" "10000 each"; do
    read -r count mode <<< "$case"
    line "lean" "$count" "$mode" "$engine" generate --no-log
    line "profile sloth" "$count" "$mode" "$engine" generate --no-log --profile sloth
    [ -z "$sloth" ] || line "Sloth itself" "$count" "$mode" "$sloth" generate --no-log
  done
  echo
  echo "Medians of $runs runs on $(nproc) processors ($(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)). Goals: 1 SLO below 0.010 s," \
    "10,000 SLOs at most 0.5 s on two processors and below 100 MiB."
}

if [ -z "${QUICK:-}" ]; then
  table > "$work/table"
  awk -v table="$work/table" '
    /<!-- generate:end -->/ { skip = 0 }
    !skip { print }
    /<!-- generate:begin -->/ { while ((getline row < table) > 0) print row; skip = 1 }
  ' "$document" > "$work/document"
  cat "$work/document" > "$document"
  cat "$work/table"
else
  table
fi
