#!/usr/bin/env bash
# Counts the crates that the program is built from and holds them against scripts/crates.txt: every one
# costs each new machine its compilation. Of a new one it says which crate and feature brought it.
#   scripts/crates.sh [--accept]
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
known=scripts/crates.txt target=x86_64-unknown-linux-gnu

crates() { # names of normal and build dependencies on this target, once each version
  cargo tree --locked -p salun-studio --target "$target" -e normal,build --prefix none --format '{p}' | sed 's/ (.*//' | sort -u
}

found=$(crates)
if [[ ${1:-} == --accept ]]; then
  printf '%s\n' "$found" | cut -d' ' -f1 | sort >"$known"
fi
echo "$(wc -l <<<"$found") crates"
# A list with repeats, for names of which there are several versions.
new=$(comm -23 <(cut -d' ' -f1 <<<"$found" | sort) "$known" | sort -u)
gone=$(comm -13 <(cut -d' ' -f1 <<<"$found" | sort) "$known" | sort -u)
[[ -z $gone ]] || echo "gone, and not to come back: scripts/crates.sh --accept" $gone
[[ -z $new$gone ]] && exit 0
for name in $new; do
  echo "new: $name, brought by"
  while read -r _ version; do
    cargo tree --locked --target "$target" -e normal,build,features -i "$name@${version#v}" --depth 3 | sed 1d
  done < <(grep "^$name " <<<"$found")
done
[[ -z $new ]] || echo "leave them out, or, if they are worth it: scripts/crates.sh --accept"
exit 1
