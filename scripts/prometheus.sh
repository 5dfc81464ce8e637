#!/usr/bin/env bash
# Finds promtool, which checks alert rules, and takes it out of the system's package where the machine has none. Nothing is installed
# in the system and no Prometheus is started.
#
#   scripts/prometheus.sh   prints the program
#
# It goes to promtool in $STATEGATE_TEST_CACHE, or in .cache of this repository. STATEGATE_TEST_PROMTOOL names another one.
# Ends with 0 found, 3 not possible here (no apt-get and no promtool, no network), 1 broken, 2 wrong usage.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)

if [ $# -gt 0 ]; then
  echo "usage: scripts/prometheus.sh" >&2
  exit 2
fi

absent() {
  echo "prometheus.sh: $1" >&2
  exit 3
}

mkdir -p "${STATEGATE_TEST_CACHE:-$repo/.cache}"
cache=$(cd "${STATEGATE_TEST_CACHE:-$repo/.cache}" && pwd)
dir=$cache/promtool

# found: a promtool that runs here
found() {
  local program
  for program in "${STATEGATE_TEST_PROMTOOL:-}" "$(command -v promtool || true)" "$dir/promtool"; do
    if [ -n "$program" ] && "$program" --version >/dev/null 2>&1; then
      echo "$program"
      return
    fi
  done
  return 1
}

found && exit 0
exec 9>"$dir.lock"
flock 9 # another run may be at it
found && exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || absent "there is neither promtool nor apt-get (install Prometheus yourself)"
tmp=$(mktemp -d "$cache/new-promtool-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
echo "prometheus.sh: fetching the package prometheus for its promtool" >&2
fetch() { (cd "$tmp" && apt-get download -q prometheus >"$tmp/log" 2>&1); }
fetch || { [ "$(id -u)" = 0 ] && apt-get update -q >"$tmp/log" 2>&1 && fetch; } || {
  tail -1 "$tmp/log" >&2
  absent "apt-get cannot fetch the package prometheus"
}
dpkg-deb -x "$tmp"/prometheus_*.deb "$tmp/tree"
rm -rf "$dir"
mkdir "$dir"
mv "$tmp/tree/usr/bin/promtool" "$dir/promtool"
found || { echo "prometheus.sh: fetched, but promtool does not run" >&2; exit 1; }
