#!/usr/bin/env bash
# Gets the servers that demo and tests need: Prometheus (with promtool) and Alertmanager (with amtool).
#
# Debian's packages are fetched through apt and unpacked into .cache/servers, not installed: an installed package would
# start its service on port 9090 of this machine, and again at every boot. `make clean` removes them.
# Nothing is fetched when PATH has the servers already, or when PROMETHEUS, PROMTOOL and ALERTMANAGER name them.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
servers=$root/.cache/servers
export PATH=$servers/usr/bin:$PATH

say() { printf '  %s\n' "$*"; }
have() { command -v -- "$1" >/dev/null 2>&1; }
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else say "root is needed for: $*"; return 1
  fi
}

toolchain() {
  if ! have cargo; then
    say "cargo is missing: install Rust through https://rustup.rs (the version is pinned in rust-toolchain.toml)"
    exit 1
  fi
  if ! have cc; then
    say "a C compiler is missing (one library needs it): install it with 'apt-get install build-essential'"
    exit 1
  fi
}

# Which Debian packages are missing.
missing() {
  have "${PROMETHEUS:-prometheus}" && have "${PROMTOOL:-promtool}" || echo prometheus
  have "${ALERTMANAGER:-prometheus-alertmanager}" || have alertmanager || echo prometheus-alertmanager
}

by_hand() {
  say "cannot get: $*"
  say "install Prometheus and Alertmanager by hand (https://prometheus.io/download) so that PATH has prometheus, promtool,"
  say "alertmanager and amtool, or name the binaries with PROMETHEUS, PROMTOOL, ALERTMANAGER and AMTOOL, and try again"
  exit 1
}

fetch() {
  have apt-get && have dpkg-deb || by_hand "$@ (this system has no apt)"
  mkdir -p "$servers"
  local folder
  folder=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder of now is meant
  trap "rm -rf '$folder'" EXIT
  # The download is done as the user _apt when we are root.
  chmod 755 "$folder"
  if [ "$(id -u)" = 0 ]; then chown _apt "$folder" 2>/dev/null || true; fi
  if ! (cd "$folder" && apt-get -qq download "$@" >/dev/null 2>&1); then
    say "updating the package lists (apt-get update)"
    as_root apt-get -qq update || by_hand "$@"
    (cd "$folder" && apt-get -qq download "$@") || by_hand "$@"
  fi
  local package
  for package in "$folder"/*.deb; do
    say "unpacking $(basename "$package") into .cache/servers"
    dpkg-deb --extract "$package" "$servers"
  done
}

toolchain
packages=$(missing)
if [ -n "$packages" ]; then
  # shellcheck disable=SC2086  # a list of words
  fetch $packages
fi
say "Prometheus    $(command -v "${PROMETHEUS:-prometheus}")"
say "Alertmanager  $(command -v "${ALERTMANAGER:-prometheus-alertmanager}" || command -v alertmanager)"
