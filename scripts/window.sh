#!/usr/bin/env bash
# Opens the studio in a virtual screen, does the main job with the mouse and takes two pictures for
# README and docs: forgetting.webp, which moves, and verdict.webp. Needs xvfb, xdotool, imagemagick and
# webp (Debian's names).
#   scripts/window.sh [OUT-FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-assets/screenshots}
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
cargo build --release
mkdir -p "$out"
frames=$(mktemp -d)

screen=$((90 + RANDOM % 400))
Xvfb ":$screen" -screen 0 1280x800x24 >/dev/null 2>&1 &
server=$!
export DISPLAY=":$screen" XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"
unset WAYLAND_DISPLAY
trap 'kill ${studio:-} $server 2>/dev/null || true; rm -rf "$frames"' EXIT
sleep 1
"$CARGO_TARGET_DIR/release/salun" --device cpu &
studio=$!

shot() {
  import -window root "$frames/$1.png"
  convert "$frames/$1.png" -resize 960x600 "$frames/small-$1.png"
}
click() { xdotool mousemove "$1" "$2" click 1; }

sleep "${OPENING:-3}"
shot open
click 65 192 # the chip of the concept cat
sleep "${SCORING:-45}"
shot saliency
click 121 736 # Forget
sleep "${TRAINING:-75}"
shot training
sleep "${VERDICT:-240}"
shot verdict
cwebp -quiet -near_lossless 60 "$frames/verdict.png" -o "$out/verdict.webp"
cd "$frames"
img2webp -loop 0 -lossy -q 85 -d 2000 small-open.png -d 2500 small-saliency.png \
  -d 2500 small-training.png -d 4000 small-verdict.png -o forgetting.webp >/dev/null
cd - >/dev/null
mv "$frames/forgetting.webp" "$out/"
