#!/usr/bin/env bash
# web/build.sh
#
# Builds the npm package `candle-whisper` into web/pkg, ready for `npm publish`, and puts it beside the page as www/pkg.
# Tools are fetched once: wasm-bindgen of the version in Cargo.lock, TypeScript of web/tools/package-lock.json's.
# CARGO_TARGET_DIR goes for another target folder than target/.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target} tools=$PWD/tests/.tools
version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
bindgen=$tools/wasm-bindgen/bin/wasm-bindgen

if [ "$("$bindgen" --version 2>/dev/null)" != "wasm-bindgen $version" ]; then
  cargo install wasm-bindgen-cli --version "$version" --bin wasm-bindgen --root "$tools/wasm-bindgen"
fi
npm ci --prefix web/tools --no-audit --no-fund --ignore-scripts --silent
cargo build --release --package candle-whisper-web --target wasm32-unknown-unknown

rm -rf web/pkg
mkdir -p web/pkg
linked=$target/wasm32-unknown-unknown/release/candle_whisper_web.wasm
node web/tools/tls-align.mjs "$linked" "${linked%.wasm}.aligned.wasm"
# Without names: half a megabyte. wasm-opt makes what is sent no smaller, and takes minutes.
"$bindgen" --target web --remove-name-section --remove-producers-section --out-name candle_whisper_web --out-dir web/pkg \
  "${linked%.wasm}.aligned.wasm"
node web/tools/random.mjs web/pkg/candle_whisper_web.js
rm -f web/pkg/.gitignore
cp web/js/*.js web/package.json LICENSE web/pkg/
cp web/README.md web/pkg/README.md
node web/tools/languages.mjs >web/pkg/languages.js
cp web/tools/tsconfig.json web/pkg/tsconfig.json
web/tools/node_modules/.bin/tsc --project web/pkg/tsconfig.json
rm web/pkg/tsconfig.json
rm -rf www/pkg
cp -R web/pkg www/pkg
node -e '
  const { readFileSync } = require("fs"), { brotliCompressSync, gzipSync } = require("zlib");
  const wasm = readFileSync("web/pkg/candle_whisper_web_bg.wasm");
  const mb = (bytes) => (bytes.length / 1e6).toFixed(2) + " MB";
  console.log(`wasm: ${mb(wasm)}, gzip ${mb(gzipSync(wasm))}, Brotli ${mb(brotliCompressSync(wasm))}`);'
