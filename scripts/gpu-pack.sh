#!/usr/bin/env bash
# Packs what scripts/gpu.sh needs on a machine without Rust and network into two archives of at most
# 64 MiB each: the source with the program, and the models and data. Both unpack into one folder.
# The first time it compiles most dependencies again, for the program without models and data.
#   scripts/gpu-pack.sh OUT-FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?a folder for the archives is needed}")
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cargo build --release --no-default-features
strip -o "$scratch/salun" "${CARGO_TARGET_DIR:-target}/release/salun"
# For tests and other scripts, the program with everything inside again.
cargo build --release
scripts/sizes.sh "$scratch/salun" 50
xz -T0 "$scratch/salun"

# What git tracks, or would, as it is here.
files() { # PATTERN ...
  git ls-files -z --cached --others --exclude-standard --deduplicate -- "$@" |
    while IFS= read -rd '' file; do
      [[ ! -e $file ]] || printf '%s\0' "$file"
    done
}

pack() { # NAME, files on standard input, further arguments of tar
  local archive=$out/$1.tar.xz bytes
  shift
  XZ_OPT=-T0 tar --null --verbatim-files-from -cJf "$archive" -T - "$@"
  bytes=$(stat -c %s "$archive")
  printf '%s: %d.%d MiB\n' "$archive" $((bytes >> 20)) $(((bytes % 1048576 * 10) >> 20))
  ((bytes <= 64 << 20)) || { echo "that is more than 64 MiB" >&2; return 1; }
}

files . ':!assets' ':!tests/fixtures' | pack salun -C "$scratch" salun.xz
files assets/data assets/models ':!*.log.jsonl' | pack salun-assets
