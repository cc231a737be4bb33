#!/usr/bin/env bash
# Gets what build, demo and tests need. Without an argument everything, else the parts that are named:
#
#   build    compiler and headers of the libraries that the build links
#   servers  Prometheus (with promtool) and Alertmanager (with amtool)
#   kafka    Java, Kafka's jars and the JMX exporter; libfaketime
#
# Debian's packages of the servers are fetched through apt and unpacked into .cache/servers, not installed: an installed
# package would start its service on port 9090 of this machine, and again at every boot. Headers, Java and Maven have no
# service and are installed. `make clean` removes what lies in .cache.
# Nothing is fetched when PATH has the servers already, or when PROMETHEUS, PROMTOOL and ALERTMANAGER name them.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
servers=$root/.cache/servers
kafka=$root/.cache/kafka
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
  # librdkafka links OpenSSL and zlib; pkg-config finds them.
  if ! have pkg-config || ! pkg-config --exists openssl zlib; then
    install pkg-config libssl-dev zlib1g-dev
  fi
}

# Installs Debian packages.
install() {
  local how="install them by hand: apt-get install $* (or what your system calls them)"
  if ! have apt-get; then say "missing: $*"; say "$how"; exit 1; fi
  say "installing $*"
  export DEBIAN_FRONTEND=noninteractive
  as_root apt-get -qq -y install --no-install-recommends "$@" >/dev/null 2>&1 && return
  as_root apt-get -qq update && as_root apt-get -qq -y install --no-install-recommends "$@" >/dev/null && return
  say "cannot install: $*"
  say "$how"
  exit 1
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

get_servers() {
  local packages
  packages=$(missing)
  if [ -n "$packages" ]; then
    # shellcheck disable=SC2086  # a list of words
    fetch $packages
  fi
  say "Prometheus    $(command -v "${PROMETHEUS:-prometheus}")"
  say "Alertmanager  $(command -v "${ALERTMANAGER:-prometheus-alertmanager}" || command -v alertmanager)"
}

# Kafka's jars by Maven, then what makes every start of a broker quick.
get_kafka() {
  have "${JAVA:-java}" || install openjdk-17-jre-headless
  # Tests let the clock of one process jump with it.
  [ -n "${LIBFAKETIME:-}" ] || compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || install libfaketime
  if ! cmp -s "$root/testbed/kafka/pom.xml" "$kafka/pom.xml"; then
    have mvn || install maven
    say "fetching Kafka's jars (57 MB)"
    rm -rf "$kafka"
    if ! mvn -q -B -f "$root/testbed/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$kafka/libs"; then
      say "cannot fetch Kafka's jars from Maven Central: see above; a mirror goes into ~/.m2/settings.xml"
      exit 1
    fi
    cp "$root/testbed/kafka/pom.xml" "$kafka/pom.xml"
  fi
  local jvm
  jvm=$(stat -Lc '%n %s %Y' "$(command -v "${JAVA:-java}")")
  if [ ! -e "$kafka/bootstrap.checkpoint" ] || [ "$(cat "$kafka/jvm" 2>/dev/null)" != "$jvm" ]; then
    say "starting a broker once, to keep its loaded classes for later starts"
    JAVA=${JAVA:-java} "$root/testbed/kafka/prepare.sh" "$kafka"
    echo "$jvm" >"$kafka/jvm"
  fi
  say "Kafka         $(find "$kafka/libs" -name 'kafka_2*.jar' -printf '%f')"
}

[ $# -gt 0 ] || set -- build servers kafka
for part in "$@"; do
  case $part in
    build) toolchain ;;
    servers) get_servers ;;
    kafka) get_kafka ;;
    *) say "unknown part $part: build, servers or kafka"; exit 2 ;;
  esac
done
