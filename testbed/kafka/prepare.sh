#!/usr/bin/env bash
# prepare.sh FOLDER: makes two files beside FOLDER/libs that let the test bed's brokers start in half the time.
#
#   bootstrap.checkpoint  what `kafka-storage format` writes; it is the same for every cluster of this version
#   kafka.jsa             classes as the JVM keeps them (class data sharing), from a broker that ran once
#
# A JVM that does not fit kafka.jsa ignores it.
set -euo pipefail

folder=$1
java=${JAVA:-java}
work=$(mktemp -d)
broker=
end() {
  if [ -n "$broker" ]; then kill -KILL "$broker" 2>/dev/null || true; fi
  rm -rf "$work/data"
}
trap 'end; rm -rf "$work"' EXIT

options=(-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$folder/libs/*")

start() {
  # Below the range that the kernel takes ports of outgoing connections from.
  local port=$((20000 + RANDOM % 10000))
  cat >"$work/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$port
listeners=PLAINTEXT://127.0.0.1:$((port + 1)),SASL_PLAINTEXT://127.0.0.1:$((port + 2)),CONTROLLER://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
log.dirs=$work/data
PROPERTIES
  "$java" "${options[@]}" kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c "$work/server.properties" >"$work/log" 2>&1 || return 1
  cp "$work/data/bootstrap.checkpoint" "$folder/bootstrap.checkpoint"
  "$java" -XX:ArchiveClassesAtExit="$work/kafka.jsa" "${options[@]}" kafka.Kafka "$work/server.properties" >"$work/log" 2>&1 &
  broker=$!
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    if grep -q 'Kafka Server started' "$work/log"; then return 0; fi
    if ! kill -0 "$broker" 2>/dev/null; then break; fi
    sleep 0.1
  done
  return 1
}

# A second try when another process had one of the ports.
if ! start && ! { end; start; }; then
  tail -n 20 "$work/log"
  exit 1
fi
kill -TERM "$broker"
wait "$broker" || true
broker=
if [ -e "$work/kafka.jsa" ]; then mv -f "$work/kafka.jsa" "$folder/kafka.jsa"; fi
