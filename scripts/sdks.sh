#!/usr/bin/env bash
# Installs the official SDKs of Stateful Functions 3.3.0 for the tests, each as its users get it: Python's from the package index
# into a virtual environment (with aiohttp, and the protobuf that it asks for), JavaScript's from the npm registry, Java's from the
# Maven repository. Which registries these are is for this machine's pip, npm and mvn to know; what is taken is pinned, with hashes,
# in testdata/statefun/apps. (Go's is on no module proxy.)
#
#   scripts/sdks.sh [python] [javascript] [java]   (all three) prints the folder of the only one asked for, else the one that holds
#                                                  all; takes 20 seconds once, nothing afterwards
#
# The folders are sdks/python (bin/python), sdks/javascript (node_modules) and sdks/java (libs) in $STATEGATE_TEST_CACHE, or in .cache
# of this repository.
# Ends with 0 installed, 3 one is not possible here (no Python 3.8 to 3.11, no npm, no JDK, no network), 1 broken, 2 wrong usage.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
apps=$repo/testdata/statefun/apps

for sdk in "$@"; do
  case $sdk in
  python | javascript | java) ;;
  *)
    echo "usage: scripts/sdks.sh [python] [javascript] [java]" >&2
    exit 2
    ;;
  esac
done
[ $# -gt 0 ] || set -- python javascript java

mkdir -p "${STATEGATE_TEST_CACHE:-$repo/.cache}/sdks"
root=$(cd "${STATEGATE_TEST_CACHE:-$repo/.cache}/sdks" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# absent: it cannot be had here. Each SDK is installed in a shell of its own, so the others go on.
absent() {
  echo "sdks.sh: $1" >&2
  exit 3
}

# quiet WHAT COMMAND: what it says is of interest only when it fails
quiet() {
  local what=$1
  shift
  "$@" >"$tmp/log" 2>&1 </dev/null || {
    tail -20 "$tmp/log" >&2
    absent "$what"
  }
}

# interpreter: the SDK asks for a protobuf below 4, which Python 3.12 and later have no use for
interpreter() {
  local p
  for p in ${PYTHON:-python3.11 python3.10 python3.9 python3.8 python3}; do
    if "$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null; then
      "$p" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  return 1
}

# The parts of each: what it is made of, besides this file, and how.
of_python() {
  local python
  python=$(interpreter) || absent "no Python 3.8 to 3.11 with venv (PYTHON=... names one)"
  echo "$python"
  cat "$apps/python/requirements.txt"
}
make_python() {
  quiet "the virtual environment cannot be made" "$(interpreter)" -m venv "$1"
  quiet "pip cannot install apache-flink-statefun 3.3.0" "$1/bin/python" -m pip --disable-pip-version-check --no-input \
    install --require-hashes -r "$apps/python/requirements.txt"
  quiet "apache-flink-statefun cannot be imported" "$1/bin/python" -c 'import statefun, aiohttp'
}

of_javascript() {
  command -v npm >/dev/null && command -v node >/dev/null || absent "no Node.js with npm"
  node --version
  cat "$apps/javascript/package.json" "$apps/javascript/package-lock.json"
}
make_javascript() {
  mkdir -p "$1"
  cp "$apps/javascript/package.json" "$apps/javascript/package-lock.json" "$1"
  quiet "npm cannot install apache-flink-statefun 3.3.0" npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --no-update-notifier
  quiet "apache-flink-statefun cannot be loaded" env NODE_PATH="$1/node_modules" node -e 'require("apache-flink-statefun")'
}

of_java() {
  local tool
  for tool in java javac; do
    command -v "${JAVA_HOME:+$JAVA_HOME/bin/}$tool" >/dev/null || absent "no JDK: $tool is not installed"
  done
  command -v mvn >/dev/null || absent "mvn is not installed (apt-get install maven)"
  cat "$apps/java/pom.xml" "$apps/java/jars.sha256"
}
make_java() {
  mkdir -p "$1"
  quiet "mvn cannot fetch org.apache.flink:statefun-sdk-java:3.3.0" mvn -B -q -ntp -f "$apps/java/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1/libs"
  (cd "$1/libs" && sha256sum --quiet -c "$apps/java/jars.sha256") >&2 || exit 1
}

# one SDK: installs it, unless it is there as it would be made now. It is made in place: virtual environments know where they are.
one() {
  local sdk=$1 dir=$root/$1 stamp
  stamp=$("of_$sdk" >"$tmp/of" && cat "$0" "$tmp/of" | cksum) || exit $?
  stamp="$stamp $dir"
  [ "$(cat "$dir/installed" 2>/dev/null)" != "$stamp" ] || return 0
  exec 9>"$dir.lock"
  flock 9 # another run may be at it
  [ "$(cat "$dir/installed" 2>/dev/null)" != "$stamp" ] || return 0
  echo "sdks.sh: installing the SDK for $sdk" >&2
  rm -rf "$dir"
  "make_$sdk" "$dir" 9>&-
  printf '%s' "$stamp" >"$dir/installed"
}

code=0
for sdk in "$@"; do
  set +e # behind || nothing would end a shell that fails
  (set -e; one "$sdk")
  status=$?
  set -e
  [ $status = 0 ] || [ $code = 1 ] || code=$status
done
[ $code = 0 ] || exit $code
if [ $# = 1 ]; then echo "$root/$1"; else echo "$root"; fi
