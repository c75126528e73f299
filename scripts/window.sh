#!/usr/bin/env bash
# Opens the studio in a virtual screen, does the main job with the mouse and takes two pictures for
# README and docs: forgetting.webp, which moves, and verdict.webp. Needs xvfb, xdotool, imagemagick and webp (Debian's names).
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
trap 'kill ${camera:-} ${studio:-} $server 2>/dev/null || true; rm -rf "$frames"' EXIT
sleep 1
"$CARGO_TARGET_DIR/release/salun" --device cpu &
studio=$!

click() { xdotool mousemove "$1" "$2" click 1; }
record() { # a frame every three seconds
  while sleep 3; do
    import -window root -resize 960x600 "$frames/frame-$(date +%s).png" || return 0
  done
}

sleep "${OPENING:-12}"
record &
camera=$!
click 165 186 # the chip of the class Sneaker
sleep "${SCORING:-32}"
click 115 508 # Forget
sleep "${VERDICT:-315}"
kill $camera
import -window root "$frames/verdict.png"
cwebp -quiet -near_lossless 60 "$frames/verdict.png" -o "$out/verdict.webp"
# The last frame stands longer than the others.
mapfile -t all < <(ls "$frames"/frame-*.png)
img2webp -loop 0 -lossy -q 70 -d 200 "${all[@]}" -d 3000 "${all[-1]}" -o "$out/forgetting.webp" >/dev/null
