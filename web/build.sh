#!/usr/bin/env bash
# web/build.sh
#
# Builds the npm package `candle-whisper` into web/pkg, ready for `npm publish`, and puts it beside the page as www/pkg.
# Tools are fetched and built once: wasm-bindgen of the version in Cargo.lock, TypeScript of web/tools/package-lock.json's.
# CARGO_TARGET_DIR goes for another target folder than target/.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target} tools=$PWD/tests/.tools
version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
pinned=$(sed -n 's/^wasm-bindgen-cli-support = "=\(.*\)"/\1/p' web/tools/bindgen/Cargo.toml)

if [ "$pinned" != "$version" ]; then
  echo "web/tools/bindgen has wasm-bindgen $pinned, Cargo.lock $version: they must be the same" >&2
  exit 1
fi
CARGO_TARGET_DIR=$tools/bindgen cargo build --release --locked --manifest-path web/tools/bindgen/Cargo.toml
npm ci --prefix web/tools --no-audit --no-fund --ignore-scripts --silent
cargo build --release --package candle-whisper-web --target wasm32-unknown-unknown --config web/profile.toml

rm -rf web/pkg
mkdir -p web/pkg
linked=$target/wasm32-unknown-unknown/release/candle_whisper_web.wasm
node web/tools/tls-align.mjs "$linked" "${linked%.wasm}.aligned.wasm"
# wasm-opt makes what is sent no smaller, and takes minutes.
"$tools/bindgen/release/bindgen" "${linked%.wasm}.aligned.wasm" web/pkg
if grep -q getRandomValues web/pkg/candle_whisper_web.js; then
  echo "the module asks for random numbers, which browsers refuse to put into shared memory" >&2
  exit 1
fi
rm -f web/pkg/.gitignore
cp web/js/*.js web/package.json LICENSE core/assets/{silero_vad.safetensors,silero_vad.LICENSE,gpt2.deflate,multilingual.deflate} web/pkg/
cp web/README.md web/pkg/README.md
node web/tools/languages.mjs >web/pkg/languages.js
cp web/tools/tsconfig.json web/pkg/tsconfig.json
web/tools/node_modules/.bin/tsc --project web/pkg/tsconfig.json
rm web/pkg/tsconfig.json
rm -rf www/pkg
cp -R web/pkg www/pkg
node -e '
  const { readFileSync } = require("fs"), { brotliCompressSync, constants, gzipSync } = require("zlib");
  const mb = (bytes) => (bytes.length / 1e6).toFixed(2) + " MB";
  for (const name of ["bg", "relaxed"]) {
    const wasm = readFileSync(`web/pkg/candle_whisper_web_${name}.wasm`);
    // The highest quality takes half a minute.
    const brotli = brotliCompressSync(wasm, { params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_LGWIN]: 24 } });
    console.log(`${name}: ${mb(wasm)}, gzip ${mb(gzipSync(wasm))}, Brotli ${mb(brotli)}`);
  }'
