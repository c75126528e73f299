#!/usr/bin/env bash
# Holds this machine's GPU against the CPU and times it, beside PyTorch where python has it with
# CUDA. Needs a driver and a Vulkan loader; no Rust, no network.
#   scripts/gpu.sh [OUT-FOLDER]
# SALUN names the program; else it is salun, target/release/salun or salun.xz of this folder's
# repository. One that was built without models and data takes them from SALUN_ASSETS, else from the
# repository. DEVICE is gpu, PYTHON python3, and LIMIT 480 seconds for it all, unless set.
# Every step has a limit of its own, and what no time is left for is left out and said. Into the
# folder (salun-gpu) go each step's object as NAME.json and its words as NAME.log; result.json has all
# of it, page.txt is for a person. Status 1: a step has failed, or a check was left out.
set -uo pipefail
export LC_ALL=C
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-salun-gpu} limit=${LIMIT:-480} device=${DEVICE:-gpu} python=${PYTHON:-python3}
export SALUN_ASSETS=${SALUN_ASSETS:-$root/assets}
# Seconds from the request to end until the kill, and under which a step is not worth its start.
grace=5 least=5
mkdir -p "$out" || exit 2
scratch=$(mktemp -d) child=
trap 'rm -rf "$scratch"' EXIT
trap '[[ -z $child ]] || kill "$child" 2>/dev/null; exit 130' INT TERM

# The program's path.
program() {
  local found
  for found in ${SALUN:+"$SALUN"} "$root/salun" \
    "${CARGO_TARGET_DIR:-$root/target}/release/salun"; do
    if [[ -f $found && -x $found ]]; then
      realpath "$found"
      return
    fi
    [[ -z ${SALUN:-} ]] || return 1
  done
  [[ -f $root/salun.xz ]] && xz -dc "$root/salun.xz" >"$scratch/salun" &&
    chmod +x "$scratch/salun" && echo "$scratch/salun"
}

# Of each step: ok, failed, timed out or left out; how long it took; what it comes to.
names=()
declare -A status seconds remark

step() { # NAME LIMIT COMMAND ...
  local name=$1 most=$2 left=$((limit - SECONDS - grace - 1)) began=$SECONDS start=$EPOCHREALTIME
  shift 2
  names+=("$name")
  remark[$name]='' seconds[$name]=0.0
  rm -f "$out/$name".{json,log}
  ((most < left)) || most=$left
  if ((most < least)); then
    status[$name]='left out'
    return
  fi
  echo "$name, at most $most s"
  timeout --kill-after=$grace "$most" "$@" >"$out/$name.json" 2>"$out/$name.log" </dev/null &
  child=$! code=0
  { wait "$child" || code=$?; } 2>/dev/null
  child=
  seconds[$name]=$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }")
  status[$name]=failed
  ((code)) || status[$name]=ok
  # 137 is a kill by whomever.
  ((code != 124 && (code != 137 || SECONDS - began < most))) || status[$name]='timed out'
  [[ ${status[$name]} == ok ]] ||
    remark[$name]=$(grep -v '^salun: cancelled$' "$out/$name.log" | tail -n 1)
}

quoted() { # TEXT: as JSON
  local text
  text=$(tr -cd '[:print:]\n' <<<"$1")
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//$'\n'/\\n}"
}

object() { # NAME: a step's object, or null
  local text=
  [[ ! -f $out/$1.json ]] || text=$(<"$out/$1.json")
  [[ $text == {*} ]] || text=null
  printf '%s' "$text"
}

value() { # OBJECT KEY: the key's first value, a text without its quotes
  local form="\"$2\":(\"([^\"]*)\"|\{[^}]*\}|[^],}]*)"
  [[ $1 =~ $form ]] && printf '%s' "${BASH_REMATCH[2]:-${BASH_REMATCH[1]}}"
}

# The page and the whole result as they are now.
report() {
  local name comma='' ok=true found
  found=$(value "$(object info)" device) || found=null
  {
    printf 'SalUn Studio on %s, %s; %d of %d s\n' "$(value "$found" name)" "$(value "$found" api)" \
      $SECONDS "$limit"
    printf '%s\n\n' "$rival"
    for name in "${names[@]}"; do
      printf '%-20s %-9s %6.1f s  %s\n' "$name" "${status[$name]}" "${seconds[$name]}" \
        "${remark[$name]}"
    done
    kernels
  } >"$out/page.txt"
  {
    for name in "${names[@]}"; do
      # What was not checked is not right.
      [[ ${status[$name]} == ok || ${status[$name]} == 'left out' && $name != check-* ]] || ok=false
    done
    printf '{"device":%s,"rival":%s,"limit_s":%d,"seconds":%d,"ok":%s,"steps":[' "$found" \
      "$(quoted "$rival")" "$limit" $SECONDS $ok
    for name in "${names[@]}"; do
      printf '%s\n{"name":"%s","status":"%s","seconds":%s,"log":%s,"result":%s}' "$comma" "$name" \
        "${status[$name]}" "${seconds[$name]}" \
        "$(quoted "$(tail -n 40 "$out/$name.log" 2>/dev/null)")" "$(object "$name")"
      comma=,
    done
    echo ']}'
  } >"$out/result.json"
  [[ $ok == true ]]
}

# The kernels' rates.
kernels() {
  [[ ${status[bench-kernels]:-} == ok ]] || return
  printf '\n%-16s %10s %9s %s\n' kernel ms GB/s "of a copy's"
  awk -v RS='{' '
    function field(name) {
      if (!match($0, "\"" name "\":\"?[^,\"}]*")) return ""
      found = substr($0, RSTART, RLENGTH)
      sub(/^[^:]*:"?/, "", found)
      return found
    }
    /"kernel":/ {
      printf "%-16s %10.3f %9.1f %4.0f %%\n", field("kernel"), 1000 * field("s"),
        field("gb_per_s"), 100 * field("of_copy")
    }' "$out/bench-kernels.json"
}

check() { # PART LIMIT
  local name=check-$1 found after
  step "$name" "$2" "$salun" check --device "$device" --only "$1" --json
  if [[ ${status[$name]} == ok ]]; then
    found=$(object "$name")
    remark[$name]=$(value "$found" said)
    remark[$name]=${remark[$name]#"$1: "}
    after=$(value "$found" first_update_s)
    [[ $after != \[* ]] || remark[$name]+="; first update after $(printf %.1f "${after#\[}") s"
  fi
  report
}

train() { # LIMIT: a training that is stopped at its limit is as good as one that ends
  local to=$scratch/trained.safetensors card log steps after rate loss kept
  step train "$1" "$salun" train fashion-classifier --data fashion-mnist --device "$device" \
    --seed 1 --out "$to" --json
  card=$(object train)
  # The log is a file after a run that ended, and part of what a stopped one leaves.
  log=$(cat "$to.log.jsonl" "$to.state" 2>/dev/null | head -c 4000000 | tr -d '\\' |
    grep -ao '"step":[0-9]*,"loss":[^,]*,"seconds":[0-9.]*' | tr ':,' '  ')
  if [[ -n $log && $code =~ ^(0|124)$ ]]; then
    # What the first updates wait for is no part of the rate.
    read -r steps after rate loss < <(awk '
      $2 >= 20 && !from { from = $2; since = $6 }
      { step = $2; loss = $4; seconds = $6 }
      END {
        if (step <= from) from = since = 0
        printf "%d %.1f %.2f %.4f\n", step, seconds, (step - from) / (seconds - since), loss
      }' <<<"$log")
    kept=$(sed -n 's/^step \([0-9]*\) is kept.*/\1/p' "$out/train.log")
    steps=${kept:-$steps}
    printf '{"steps":%d,"seconds":%s,"steps_per_s":%s,"loss":%s,"card":%s}\n' "$steps" "$after" \
      "$rate" "$loss" "$card" >"$out/train.json"
    status[train]=ok
    remark[train]="$steps updates, $rate a second, loss $loss"
    [[ $card == null ]] || remark[train]+="; finished, TA $(value "$card" TA)"
  fi
  report
}

bench() { # ROW LIMIT
  local name=bench-$1 row ratio
  step "$name" "$2" "$salun" bench --device "$device" --no-window --rounds 3 --only "$1" \
    --python "$python" --peer "$root/tests/peers/bench.py" --json
  if [[ ${status[$name]} == ok ]]; then
    row=$(object "$name")
    ratio=$(value "$row" ratio)
    remark[$name]="ours $(printf %.3g "$(value "$row" ours_s)") s"
    if [[ $ratio == null ]]; then
      remark[$name]+="; $(value "$row" rival)"
    else
      remark[$name]+=", $(value "$row" rival) $(printf %.3g "$(value "$row" rival_s)") s, ratio\
 $(printf %.2f "$ratio")"
    fi
  fi
  report
}

rival='PyTorch: not looked for yet'
salun=$(program) || {
  echo "no program: build it, or name it in SALUN" >&2
  exit 2
}
step info 30 "$salun" info --device "$device" --json
report
check operations 90
check kernels 40
check classify 60
check generate 60
check text-to-image 90
train 60
step bench-kernels 40 "$salun" bench --device "$device" --kernels --json
report
left=$((limit - SECONDS - grace))
if ((left >= least)); then
  rival=$(timeout --kill-after=$grace $((left < 60 ? left : 60)) "$python" -c '
import torch
assert torch.cuda.is_available(), "it finds no CUDA device"
print("beside PyTorch", torch.__version__, "on", torch.cuda.get_device_name())' 2>&1 | tail -n 1) ||
    rival="no PyTorch with CUDA beside it ($rival)"
else
  rival='PyTorch: no time was left to look for it'
fi
for row in mask-11m mask-100m threshold-11m salun-step-16 salun-step-64 ddpm-step sample-50; do
  bench "$row" 45
done
report
state=$?
cat "$out/page.txt"
exit $state
