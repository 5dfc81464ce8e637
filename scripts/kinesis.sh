#!/usr/bin/env bash
# Installs a stand-in for Amazon Kinesis for the tests: kinesis-mock, a maintained implementation of the service's API that speaks TLS,
# as the npm package kinesis-local. It needs no account and nothing but Node.js.
#
#   scripts/kinesis.sh [VERSION]   (0.6.2) prints the folder; takes some seconds once, nothing afterwards
#
# The folder is kinesis-local-VERSION in $STATEGATE_TEST_CACHE, or in .cache of this repository.
# Ends with 0 installed, 3 not possible here (no Node.js, no npm, no network), 1 broken, 2 wrong usage.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)

version=${1:-0.6.2}
if [ $# -gt 1 ] || ! [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
  echo "usage: scripts/kinesis.sh [VERSION]" >&2
  exit 2
fi

absent() {
  echo "kinesis.sh: $1" >&2
  exit 3
}

command -v node >/dev/null || absent "node is not installed (apt-get install nodejs npm)"
command -v npm >/dev/null || absent "npm is not installed (apt-get install npm)"

mkdir -p "${STATEGATE_TEST_CACHE:-$repo/.cache}"
cache=$(cd "${STATEGATE_TEST_CACHE:-$repo/.cache}" && pwd)
dir=$cache/kinesis-local-$version

stamp="$(cksum <"$0") $(node --version)"
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
trap 'rm -rf "$tmp"' EXIT
echo "kinesis.sh: fetching kinesis-local $version with npm" >&2
if ! npm install --prefix "$tmp" --no-audit --no-fund --no-save --ignore-scripts --loglevel=error "kinesis-local@$version" >"$tmp/npm.log" 2>&1; then
  grep -m 1 'npm .*[Ee]rr' "$tmp/npm.log" >&2 || cat "$tmp/npm.log" >&2
  absent "npm cannot fetch kinesis-local@$version"
fi
rm -rf "$dir"
mkdir -p "$dir"
mv "$tmp/node_modules/kinesis-local/main.js" "$tmp/node_modules/kinesis-local/LICENSE" "$dir"
node --check "$dir/main.js"
printf '%s' "$stamp" >"$dir/installed"
echo "$dir"
