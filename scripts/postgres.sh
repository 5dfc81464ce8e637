#!/usr/bin/env bash
# Installs PostgreSQL for the tests where the machine has none: as the system's package when run as root, otherwise as the
# binaries that are published for embedding, from the Maven repository that this machine's mvn is set up for.
#
#   scripts/postgres.sh                  prints the folder of the binaries
#   scripts/postgres.sh VERSION          those for embedding (like 17.5.0), whatever else is installed
#
# Those for embedding go to postgres (without VERSION) or postgres-VERSION in $STATEGATE_TEST_CACHE, or in .cache of this
# repository. Tests find the first by themselves; STATEGATE_TEST_PGBIN names another folder to them.
# Ends with 0 installed, 3 not possible here (no package, no Maven, no network), 1 broken, 2 wrong usage.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)

if [ $# -gt 1 ] || ! [[ ${1:-17.5.0} =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
  echo "usage: scripts/postgres.sh [VERSION]" >&2
  exit 2
fi
mkdir -p "${STATEGATE_TEST_CACHE:-$repo/.cache}"
cache=$(cd "${STATEGATE_TEST_CACHE:-$repo/.cache}" && pwd)

# found: a folder that holds both programs, looked for as internal/testserver does
found() {
  local candidates=() p dir
  if [ -n "${STATEGATE_TEST_PGBIN:-}" ]; then
    candidates=("$STATEGATE_TEST_PGBIN")
  else
    for p in postgres initdb; do
      ! p=$(command -v "$p") || candidates+=("$(dirname "$(readlink -f "$p")")")
    done
    ! p=$(pg_config --bindir 2>/dev/null) || candidates+=("$p")
    while read -r dir; do candidates+=("$dir"); done < <(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV)
    candidates+=("$cache/postgres/bin")
  fi
  for dir in "${candidates[@]}"; do
    if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
      echo "$dir"
      return
    fi
  done
  return 1
}

absent() {
  echo "postgres.sh: $1" >&2
  exit 3
}

# package: the system's own. Run level 1 keeps its postinstall script from starting a server that nobody asked for.
package() {
  command -v apt-get >/dev/null || return 1
  echo "postgres.sh: installing the package postgresql" >&2
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  { apt-get update -q && apt-get install -q -y --no-install-recommends postgresql; } >&2
}

# embedded VERSION FOLDER: the binaries for embedding
embedded() {
  local os=linux arch
  case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64 | arm64) arch=arm64v8 ;;
  *) absent "there are no binaries for $(uname -m)" ;;
  esac
  [ "$(uname -s)" = Linux ] || os=darwin
  command -v mvn >/dev/null || absent "mvn is not installed (or install PostgreSQL yourself)"
  exec 9>"$2.lock"
  flock 9 # another run may be at it
  [ ! -x "$2/bin/postgres" ] || return 0
  tmp=$(mktemp -d "$cache/new-postgres-XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  echo "postgres.sh: fetching PostgreSQL $1 with mvn" >&2
  printf '<project><modelVersion>4.0.0</modelVersion><groupId>stategate</groupId><artifactId>postgres</artifactId><version>1</version><packaging>pom</packaging></project>' >"$tmp/pom.xml"
  mvn -B -q -ntp -f "$tmp/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:unpack \
    -Dartifact="io.zonky.test.postgres:embedded-postgres-binaries-$os-$arch:$1" -DoutputDirectory="$tmp/jar" >"$tmp/log" 2>&1 || {
    grep -m 1 ERROR "$tmp/log" >&2 || cat "$tmp/log" >&2
    absent "mvn cannot fetch the binaries of PostgreSQL $1"
  }
  mkdir "$tmp/postgres"
  tar -xJf "$tmp"/jar/postgres-*.txz -C "$tmp/postgres" || absent "the archive cannot be unpacked (tar and xz are needed)"
  chmod 755 "$tmp/postgres"
  rm -rf "$2"
  mv "$tmp/postgres" "$2"
}

if [ $# -eq 1 ]; then
  embedded "$1" "$cache/postgres-$1"
  echo "$cache/postgres-$1/bin"
  exit 0
fi
found && exit 0
if [ "$(id -u)" != 0 ] || ! package; then
  embedded 17.5.0 "$cache/postgres"
fi
found || { echo "postgres.sh: installed, but postgres and initdb are not found" >&2; exit 1; }
