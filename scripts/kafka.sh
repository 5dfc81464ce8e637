#!/usr/bin/env bash
# Installs Apache Kafka for the tests: jars from the Maven repository that this machine's mvn is set up for, a formatted
# storage folder to copy from, and a class data archive that halves the time of a start.
#
#   scripts/kafka.sh [VERSION]   (4.1.0; also 3.9.1) prints the folder; takes 1 to 2 minutes once, nothing afterwards
#
# The folder is kafka-VERSION in $STATEGATE_TEST_CACHE, or in .cache of this repository.
# Ends with 0 installed, 3 not possible here (no Java, no Maven, no network), 1 broken, 2 wrong usage.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)

version=${1:-4.1.0}
if [ $# -gt 1 ] || ! [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
  echo "usage: scripts/kafka.sh [VERSION]" >&2
  exit 2
fi

absent() {
  echo "kafka.sh: $1" >&2
  exit 3
}

# program NAME PACKAGE: the program is there, or the system's package brings it (as root; otherwise it is for the reader to install)
program() {
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "kafka.sh: installing the package $2" >&2
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$2"; } >&2 || true
  fi
  command -v "$1" >/dev/null || absent "$1 is not installed (apt-get install $2)"
}

java=${JAVA_HOME:+$JAVA_HOME/bin/}java
program "$java" default-jre-headless # 17 or newer

mkdir -p "${STATEGATE_TEST_CACHE:-$repo/.cache}"
cache=$(cd "${STATEGATE_TEST_CACHE:-$repo/.cache}" && pwd)
dir=$cache/kafka-$version

# What the folder was made for: the archive holds absolute paths and fits one Java only.
stamp="$(cksum <"$0") $dir $("$java" -version 2>&1 | tr '\n' ' ')"
installed() { [ -f "$dir/installed" ] && [ "$(cat "$dir/installed")" = "$stamp" ]; }

if installed; then
  echo "$dir"
  exit 0
fi
exec 9>"$dir.lock"
flock 9 # another run may be at it
if installed; then
  echo "$dir"
  exit 0
fi

tmp=$(mktemp -d)
pid=
cleanup() {
  [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
  rm -rf "$tmp"
}
trap cleanup EXIT

# fetch: the broker, and of what it asks for only what a broker without authorisers, JWT and its own tools loads
fetch() {
  program mvn maven
  local exclusions='' e
  for e in org.scala-lang:scala-reflect com.github.ben-manes.caffeine:caffeine org.bitbucket.b_c:jose4j \
    commons-beanutils:commons-beanutils commons-collections:commons-collections commons-digester:commons-digester \
    commons-logging:commons-logging com.fasterxml.jackson.dataformat:jackson-dataformat-csv \
    com.fasterxml.jackson.datatype:jackson-datatype-jdk8 com.dynatrace.hash4j:hash4j org.yaml:snakeyaml org.jspecify:jspecify \
    org.slf4j:slf4j-reload4j ch.qos.reload4j:reload4j; do
    exclusions+="<exclusion><groupId>${e%:*}</groupId><artifactId>${e#*:}</artifactId></exclusion>"
  done
  cat >"$tmp/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stategate</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version>
      <exclusions>$exclusions</exclusions></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
  echo "kafka.sh: fetching Apache Kafka $version with mvn" >&2
  if ! mvn -B -q -ntp -f "$tmp/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$tmp/libs" >"$tmp/mvn.log" 2>&1; then
    grep -m 1 ERROR "$tmp/mvn.log" >&2 || cat "$tmp/mvn.log" >&2
    absent "mvn cannot fetch org.apache.kafka:kafka_2.13:$version"
  fi
  rm -rf "$dir/libs"
  mkdir -p "$dir"
  mv "$tmp/libs" "$dir/libs"
}

# options: what each start of java is told, in a file, for the archive fits only the class path it was made with
options() {
  local jars=("$dir"/libs/*.jar) path
  path=$(IFS=:; echo "${jars[*]}")
  printf '%s\n' -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info \
    "$@" "-cp \"$path\"" >"$dir/java.args"
}

# format: a storage folder to copy from; who copies it gives meta.properties a directory.id of its own
format() {
  rm -rf "$dir/storage" "$dir/data"
  cat >"$dir/format.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:1
listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:1
controller.listener.names=CONTROLLER
log.dirs=$dir/storage
PROPERTIES
  "$java" "@$dir/java.args" kafka.tools.StorageTool format -t stategateAAAAAAAAAAAAA -c "$dir/format.properties" >"$tmp/format.log" 2>&1 || {
    cat "$tmp/format.log" >&2
    exit 1
  }
}

# started: waits until the broker says that it is; fails when it ends before, or after two minutes
started() {
  local n
  for n in $(seq 1200); do
    ! grep -q 'Kafka Server started' "$tmp/start.log" || return 0
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# archive: one start and stop of the broker, whose classes the next starts map instead of loading
archive() {
  local port tries
  for tries in 1 2 3 4 5; do
    port=$((12000 + RANDOM % 10000 * 2))
    cp -R "$dir/storage" "$tmp/data$tries"
    sed -e "s|^log.dirs=.*|log.dirs=$tmp/data$tries|" -e "s|127.0.0.1:0|127.0.0.1:$port|" -e "s|127.0.0.1:1\$|127.0.0.1:$((port + 1))|" \
      "$dir/format.properties" >"$tmp/server.properties"
    : >"$tmp/start.log"
    "$java" "@$dir/java.args" -XX:ArchiveClassesAtExit="$dir/classes.jsa" kafka.Kafka "$tmp/server.properties" >"$tmp/start.log" 2>&1 9>&- &
    pid=$!
    if started; then
      kill -TERM "$pid"
      wait "$pid" || [ $? -eq 143 ] || { tail -20 "$tmp/start.log" >&2; exit 1; }
      pid=
      [ -s "$dir/classes.jsa" ] || { echo "kafka.sh: java wrote no class data archive" >&2; exit 1; }
      return
    fi
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    pid=
    grep -q 'Address already in use' "$tmp/start.log" || break
  done
  tail -40 "$tmp/start.log" >&2
  echo "kafka.sh: the broker does not start" >&2
  exit 1
}

rm -f "$dir/installed" "$dir/classes.jsa"
fetch
options
format
archive
options "-XX:SharedArchiveFile=$dir/classes.jsa"
printf '%s' "$stamp" >"$dir/installed"
echo "$dir"
