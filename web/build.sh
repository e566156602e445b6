#!/usr/bin/env bash
# web/build.sh
#
# Builds the npm package `candle-whisper` into web/pkg, ready for `npm publish`, and puts it beside the page as www/pkg.
# Tools are fetched once: wasm-bindgen of the version in Cargo.lock, TypeScript and binaryen of web/package-lock.json's.
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
"$bindgen" --target web --out-dir web/pkg "$target/wasm32-unknown-unknown/release/candle_whisper_web.wasm"
# Features one by one: with all of them browsers refuse the module.
web/tools/node_modules/.bin/wasm-opt -O2 --enable-simd --enable-bulk-memory --enable-sign-ext --enable-mutable-globals \
  --enable-nontrapping-float-to-int --enable-reference-types --enable-multivalue \
  web/pkg/candle_whisper_web_bg.wasm -o web/pkg/optimised.wasm
mv web/pkg/optimised.wasm web/pkg/candle_whisper_web_bg.wasm
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
