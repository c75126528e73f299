#!/usr/bin/env bash
# Makes the tables of assets/tables again: hours on two cores. Killed, it goes on where it was.
#   scripts/tables.sh OUT-FOLDER [TABLE ...]
# SALUN names the program, SEEDS how many seeds (3).
set -euo pipefail
out=${1:?a folder for the runs is needed}
shift
names=("$@")
[ $# -gt 0 ] || names=(table1 classwise iu-alpha estimators density ratio ddpm-classwise)
salun=${SALUN:-${CARGO_TARGET_DIR:-target}/release/salun}
mkdir -p "$out"
for name in "${names[@]}"; do
  nice -n 10 "$salun" table "$name" --scale small --seeds "${SEEDS:-3}" --device cpu --out "$out/$name"
  mkdir -p "assets/tables/$name"
  # What else is in OUT (table.csv, figure.png) says the same once more.
  cp "$out/$name"/{table.md,table.json,figure.svg} "assets/tables/$name/"
done
