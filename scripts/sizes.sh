#!/usr/bin/env bash
# Holds what has to travel to its limits: the files that git tracks, and the program, stripped.
#   scripts/sizes.sh [PROGRAM [MB]]
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-${CARGO_TARGET_DIR:-target}/release/salun}
over=0

hold() { # WHAT BYTES LIMIT UNIT-SIZE UNIT
  local line
  line=$(awk -v what="$1" -v n="$2" -v most="$3" -v size="$4" -v unit="$5" 'BEGIN {
    printf "%s %.1f %s (at most %d)", what, n / size, unit, most; exit n > most * size }') || over=1
  echo "$line"
}

tracked=$(git ls-files -z | xargs -0 stat -c %s | awk '{ n += $1 } END { print n }')
hold "tracked files" "$tracked" 64 1048576 MiB
if [[ -e $program ]]; then
  stripped=$(mktemp)
  trap 'rm -f "$stripped"' EXIT
  strip -o "$stripped" "$program"
  hold "program, stripped" "$(stat -c %s "$stripped")" "${2:-111}" 1000000 MB
fi
exit $over
