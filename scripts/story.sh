#!/usr/bin/env bash
# Does the whole story in the studio's window on a virtual screen, with mouse and keys alone, and takes a picture of each
# step: docs/story, and the README's moving one. Needs xvfb, xdotool, imagemagick, webp and nodejs (Debian's names).
#   scripts/story.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-docs/story}
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
cargo build --release

small=$(mktemp -d)
trap 'rm -rf "$small"' EXIT
xvfb-run -a -s '-screen 0 1280x800x24' \
  node tests/story/story.mjs window "$CARGO_TARGET_DIR/release/salun" "$out"

# The README's, of four steps.
[[ $out == docs/story ]] || exit 0
frames=()
for step in 01-prompt 02-saliency 03-forget 06-verdict; do
  dwebp -quiet "$out/$step-window.webp" -o "$small/$step.png"
  convert "$small/$step.png" -resize 960x600 "$small/$step.png"
  frames+=(-d 2500 "$small/$step.png")
done
img2webp -loop 0 -lossy -q 80 "${frames[@]}" -o assets/screenshots/forgetting.webp >/dev/null
