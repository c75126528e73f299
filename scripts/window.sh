#!/usr/bin/env bash
# Opens the studio in a virtual screen, does the main job with the mouse and takes the README's
# screenshots. Needs xvfb, xdotool and imagemagick (Debian's names).
#   scripts/window.sh [OUT-FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-assets/screenshots}
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/salun-studio/target}"
cargo build --release
mkdir -p "$out"

screen=$((90 + RANDOM % 400))
Xvfb ":$screen" -screen 0 1280x800x24 >/dev/null 2>&1 &
server=$!
export DISPLAY=":$screen" XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"
unset WAYLAND_DISPLAY
trap 'kill ${studio:-} $server 2>/dev/null || true' EXIT
sleep 1
"$CARGO_TARGET_DIR/release/salun" --device cpu &
studio=$!

shot() { import -window root "$out/$1.png"; }
click() { xdotool mousemove "$1" "$2" click 1; }

sleep "${OPENING:-12}"
shot open
click 165 186 # the chip of the class Sneaker
sleep "${SCORING:-32}"
shot saliency
click 115 508 # Forget
sleep "${TRAINING:-75}"
shot training
sleep "${VERDICT:-240}"
shot verdict
