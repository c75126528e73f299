#!/usr/bin/env bash
# The page: build makes the folder web/dist, which any web server can give out from any place;
# serve gives it out here; test drives it in a real browser, with --quick without the checks that take
# many minutes; story does the whole story in it and takes the pictures of docs/story. Status 3: a tool cannot be had
# here.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
target=wasm32-unknown-unknown
tools=$CARGO_TARGET_DIR/web-tools
dist=web/dist

unavailable() {
  echo "cannot be had here: $*" >&2
  exit 3
}

need() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local as=()
  if [[ $(id -u) != 0 ]]; then
    sudo -n true 2>/dev/null || unavailable "${missing[@]}"
    as=(sudo)
  fi
  "${as[@]}" apt-get update -qq || true
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" || unavailable "${missing[@]}"
}

# The standard library for the target: rustup's, or Debian's sources built on the way.
has_std() {
  compgen -G "$(rustc --print target-libdir --target $target 2>/dev/null)/libstd-*" >/dev/null
}

build_wasm() {
  local build=(cargo rustc --lib --profile page --target $target --crate-type cdylib)
  export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS='-C target-feature=+simd128'
  if ! has_std && command -v rustup >/dev/null; then
    timeout 300 rustup target add $target 2>/dev/null || true
  fi
  if has_std; then
    "${build[@]}"
  else
    need rustc-web rust-web-src lld-22
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-22 \
      "${build[@]}" -Z build-std=std,panic_abort
  fi
}

# Tools at fixed versions, in a folder of their own.
bindgen() {
  local version
  version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
  if [[ $("$tools/bin/wasm-bindgen" --version 2>/dev/null) != "wasm-bindgen $version" ]]; then
    cargo install --quiet --root "$tools" --version "=$version" wasm-bindgen-cli ||
      unavailable wasm-bindgen-cli
  fi
  "$tools/bin/wasm-bindgen" "$@"
}

npm_tools() {
  command -v node >/dev/null || need nodejs npm
  local wanted=("$@") package
  # Debian 12 has an older one than these need.
  (($(node --version | tr -dc 0-9. | cut -d. -f1) >= 20)) || wanted+=(node@22.21.1)
  for package in "${wanted[@]}"; do
    [[ -d $tools/node_modules/${package%@*} ]] ||
      npm install --silent --no-audit --no-fund --no-save --prefix "$tools" "${wanted[@]}" ||
      unavailable "${wanted[@]}"
  done
  PATH=$tools/node_modules/node/bin:$PATH
}

build() {
  build_wasm
  local out=$CARGO_TARGET_DIR/web made=$CARGO_TARGET_DIR/$target/page/salun_studio.wasm
  local sum
  sum=$(sha256sum "$made" | cut -c1-16)
  # What takes minutes is done again only for another program.
  if [[ ! -e $out/$sum ]]; then
    npm_tools binaryen@132.0.0
    rm -rf "$out"
    bindgen --target web --out-name salun --out-dir "$out" --no-typescript \
      --remove-name-section --remove-producers-section "$made"
    node "$tools/node_modules/binaryen/bin/wasm-opt" "${WASM_OPT:--O1}" \
      --enable-bulk-memory --enable-reference-types --enable-sign-ext \
      --enable-nontrapping-float-to-int --enable-mutable-globals --enable-multivalue \
      --enable-simd "$out/salun_bg.wasm" -o "$out/salun_bg.wasm"
    touch "$out/$sum"
  fi
  node web/pack.mjs "$out" "$dist"
}

# A browser and what drives it.
browser() {
  command -v xvfb-run >/dev/null || need xvfb
  chromium=${CHROMIUM:-/usr/bin/chromium}
  [[ -x $chromium ]] || need chromium
  # Some distributions' package is a mere pointer to another store.
  timeout 120 "$chromium" --version >/dev/null 2>&1 || unavailable chromium
  npm_tools playwright-core@1.65.1 axe-core@4.14.1
}

in_browser() {
  NODE_PATH=$tools/node_modules xvfb-run -a -s '-screen 0 1600x1000x24' node "$@"
}

case "${1:-}" in
build) build ;;
serve) node web/serve.mjs "$dist" "${2:-8080}" ;;
test)
  browser
  in_browser tests/web/run.mjs "$dist" "$CARGO_TARGET_DIR/release/salun" \
    "$CARGO_TARGET_DIR/web-shots" "${@:2}"
  ;;
story)
  browser
  in_browser tests/story/story.mjs page "$dist" "${2:-docs/story}"
  ;;
*)
  echo "usage: scripts/web.sh build | serve [PORT] | test [--quick | NAME] | story [FOLDER]" >&2
  exit 2
  ;;
esac
